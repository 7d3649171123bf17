/* The largest product of each channel's weight with the points of a cloud, and the point: see peaks.py.

   Points become bytes around a centre and are multiplied with a weight of bytes. Of a channel's points only those are then
   multiplied in single precision that can still be the largest. With w = scale (W + r) and x = centre + unit (D + m), where
   W and D are whole numbers and r and m what rounding left of them,

       <w, x> = <w, centre> + scale unit (<W, D> + <W, m> + <r, D + m>),

   and the last two are at most |W| |m| + |r| |D + m| together. All norms are in units of bytes: no scale of the points or
   weights makes them overflow or vanish. */

#include <stdint.h>

enum { INTERFACE = 2 }; /* peaks.py opens no library of another: raise both with any change of a signature */
enum { NO_INSTRUCTIONS, AVX2, AVX512_VNNI }; /* the sets of instructions, as peaks.py knows them */

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNROLLED _Pragma("GCC unroll 8")
#ifdef __clang__
#define KEEPS_SUMS
#else
#define KEEPS_SUMS __attribute__((optimize("no-tree-pre"))) /* or GCC moves the sums between registers at each step */
#endif

enum {
    COLUMNS = 2, /* registers of points that are multiplied together with ROWS channels: their sums stay in registers */
    FOUR = 4, /* bytes that are multiplied and added up at once */
    ZERO = 128, /* the byte that stands for the whole number 0 of a point */
    FEW = 32, /* candidates a channel that are no reason to give up */
};

static const float MARGIN = 1.001f; /* on a bound that is itself rounded */
static const int32_t FAR = 2000000000; /* no sum of products is as large: peaks.py allows so many inputs at most */

/* A cloud of n points (n, k), as said above. */
typedef struct {
    const float *points;
    int64_t n, k, fours, registers;
    uint8_t *bytes; /* (registers, fours, LANES, FOUR), D + ZERO; LANES whole numbers fit a register */
    float *centre;  /* (k,) */
    float unit;
    float size; /* the largest |D + m| of a point */
    float residual; /* the largest |m| */
} Cloud;

/* A weight (c, k), as said above. */
typedef struct {
    const float *weight;
    const int8_t *bytes;  /* (c, fours * FOUR), W, for AVX2 from -63 to 63; c is filled up to a multiple of ROWS */
    const int32_t *total; /* (c,), sum of a row of W */
    const float *scale;   /* (c,) */
    const float *size;    /* (c,), |W| */
    const float *residual; /* (c,), |r| */
} Weight;

/* --- AVX-512 VNNI --- */

#define NAME(function) function##_vnni
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))
#define LANES 16
#define ROWS 8

TARGET static float NAME(dot)(const float *a, const float *b, int64_t k)
{
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    int64_t j = 0;
    for (; j + 4 * LANES <= k; j += 4 * LANES)
        UNROLLED for (int i = 0; i < 4; i++)
            sum[i] = _mm512_fmadd_ps(_mm512_loadu_ps(a + j + i * LANES), _mm512_loadu_ps(b + j + i * LANES), sum[i]);
    for (; j < k; j += LANES) {
        const __mmask16 there = k - j >= LANES ? 0xffff : (1u << (k - j)) - 1;
        sum[0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(there, a + j), _mm512_maskz_loadu_ps(there, b + j), sum[0]);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

/* Sums of products of bytes (ROWS, registers * LANES), of the channels from c on, and the largest of each channel. */
TARGET KEEPS_SUMS static void NAME(multiply)(const Cloud *cloud, const Weight *weight, int64_t c, int32_t *sums, int32_t *largest)
{
    const int64_t fours = cloud->fours, stride = cloud->registers * LANES;
    const int8_t *rows = weight->bytes + c * fours * FOUR;
    const __m512i none = _mm512_set1_epi32(INT32_MIN);
    __m512i top[ROWS];
    UNROLLED for (int r = 0; r < ROWS; r++) top[r] = none;
    for (int64_t v = 0; v < cloud->registers; v += COLUMNS) {
        const uint8_t *columns = cloud->bytes + v * fours * LANES * FOUR;
        __m512i sum[ROWS][COLUMNS];
        UNROLLED for (int r = 0; r < ROWS; r++)
            UNROLLED for (int p = 0; p < COLUMNS; p++) sum[r][p] = _mm512_setzero_si512();
        for (int64_t q = 0; q < fours; q++) {
            __m512i x[COLUMNS];
            UNROLLED for (int p = 0; p < COLUMNS; p++)
                x[p] = _mm512_load_si512(columns + (p * fours + q) * LANES * FOUR);
            UNROLLED for (int r = 0; r < ROWS; r++) {
                int32_t four;
                memcpy(&four, rows + (r * fours + q) * FOUR, FOUR);
                const __m512i w = _mm512_set1_epi32(four);
                UNROLLED for (int p = 0; p < COLUMNS; p++) sum[r][p] = _mm512_dpbusd_epi32(sum[r][p], x[p], w);
            }
        }
        UNROLLED for (int p = 0; p < COLUMNS; p++) {
            const int64_t left = cloud->n - (v + p) * LANES;
            const __mmask16 there = left >= LANES ? 0xffff : left > 0 ? (1u << left) - 1 : 0;
            UNROLLED for (int r = 0; r < ROWS; r++) {
                const __m512i found = _mm512_mask_mov_epi32(none, there, sum[r][p]);
                _mm512_store_si512(sums + r * stride + (v + p) * LANES, found);
                top[r] = _mm512_max_epi32(top[r], found);
            }
        }
    }
    UNROLLED for (int r = 0; r < ROWS; r++) largest[r] = _mm512_reduce_max_epi32(top[r]);
}

/* The first point whose sum is the largest. */
TARGET static int64_t NAME(first_of)(int32_t largest, const int32_t *sums)
{
    const __m512i level = _mm512_set1_epi32(largest);
    __mmask16 found;
    int64_t point = 0;
    while (!(found = _mm512_cmpeq_epi32_mask(_mm512_load_si512(sums + point), level))) point += LANES;
    return point + __builtin_ctz(found);
}

/* The points, in order, whose sums are at least low; how many. */
TARGET static int64_t NAME(at_least)(int32_t low, const int32_t *sums, int64_t registers, int32_t *points)
{
    const __m512i level = _mm512_set1_epi32(low), step = _mm512_set1_epi32(LANES);
    __m512i point = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    int64_t count = 0;
    for (int64_t v = 0; v < registers; v++) {
        const __mmask16 found = _mm512_cmpge_epi32_mask(_mm512_load_si512(sums + v * LANES), level);
        _mm512_storeu_si512(points + count, _mm512_maskz_compress_epi32(found, point));
        count += __builtin_popcount(found);
        point = _mm512_add_epi32(point, step);
    }
    return count;
}

#include "peaks_search.h"

/* --- AVX2: products of bytes are added up in 16 bits first, which bytes of a weight up to 63 never overflow --- */

#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#define NAME(function) function##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 4

TARGET static float NAME(dot)(const float *a, const float *b, int64_t k)
{
    __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    int64_t j = 0;
    for (; j + 4 * LANES <= k; j += 4 * LANES)
        UNROLLED for (int i = 0; i < 4; i++)
            sum[i] = _mm256_fmadd_ps(_mm256_loadu_ps(a + j + i * LANES), _mm256_loadu_ps(b + j + i * LANES), sum[i]);
    for (; j + LANES <= k; j += LANES)
        sum[0] = _mm256_fmadd_ps(_mm256_loadu_ps(a + j), _mm256_loadu_ps(b + j), sum[0]);
    const __m256 all = _mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3]));
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    float total = _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
    for (; j < k; j++) total += a[j] * b[j];
    return total;
}

/* As the one above. */
TARGET KEEPS_SUMS static void NAME(multiply)(
    const Cloud *cloud, const Weight *weight, int64_t c, int32_t *sums, int32_t *largest)
{
    const int64_t fours = cloud->fours, stride = cloud->registers * LANES;
    const int8_t *rows = weight->bytes + c * fours * FOUR;
    const __m256i none = _mm256_set1_epi32(INT32_MIN), ones = _mm256_set1_epi16(1);
    const __m256i lanes = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    __m256i top[ROWS];
    UNROLLED for (int r = 0; r < ROWS; r++) top[r] = none;
    for (int64_t v = 0; v < cloud->registers; v += COLUMNS) {
        const uint8_t *columns = cloud->bytes + v * fours * LANES * FOUR;
        __m256i sum[ROWS][COLUMNS];
        UNROLLED for (int r = 0; r < ROWS; r++)
            UNROLLED for (int p = 0; p < COLUMNS; p++) sum[r][p] = _mm256_setzero_si256();
        for (int64_t q = 0; q < fours; q++) {
            __m256i x[COLUMNS];
            UNROLLED for (int p = 0; p < COLUMNS; p++)
                x[p] = _mm256_load_si256((const __m256i *)(columns + (p * fours + q) * LANES * FOUR));
            UNROLLED for (int r = 0; r < ROWS; r++) {
                int32_t four;
                memcpy(&four, rows + (r * fours + q) * FOUR, FOUR);
                const __m256i w = _mm256_set1_epi32(four);
                UNROLLED for (int p = 0; p < COLUMNS; p++)
                    sum[r][p] = _mm256_add_epi32(sum[r][p], _mm256_madd_epi16(_mm256_maddubs_epi16(x[p], w), ones));
            }
        }
        UNROLLED for (int p = 0; p < COLUMNS; p++) {
            const int64_t left = cloud->n - (v + p) * LANES;
            const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(left < LANES ? (int32_t)left : LANES), lanes);
            UNROLLED for (int r = 0; r < ROWS; r++) {
                const __m256i found = _mm256_blendv_epi8(none, sum[r][p], there);
                _mm256_store_si256((__m256i *)(sums + r * stride + (v + p) * LANES), found);
                top[r] = _mm256_max_epi32(top[r], found);
            }
        }
    }
    UNROLLED for (int r = 0; r < ROWS; r++) {
        int32_t line[LANES];
        _mm256_storeu_si256((__m256i *)line, top[r]);
        largest[r] = line[0];
        for (int i = 1; i < LANES; i++) largest[r] = line[i] > largest[r] ? line[i] : largest[r];
    }
}

/* A bit for each of LANES sums that are at least low. */
TARGET static inline uint32_t NAME(bits_at_least)(int32_t low, const int32_t *sums)
{
    const __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(low), _mm256_load_si256((const __m256i *)sums));
    return ~(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(below)) & ((1u << LANES) - 1);
}

TARGET static int64_t NAME(first_of)(int32_t largest, const int32_t *sums)
{
    uint32_t found;
    int64_t point = 0;
    while (!(found = NAME(bits_at_least)(largest, sums + point))) point += LANES;
    return point + __builtin_ctz(found);
}

TARGET static int64_t NAME(at_least)(int32_t low, const int32_t *sums, int64_t registers, int32_t *points)
{
    int64_t count = 0;
    for (int64_t v = 0; v < registers; v++)
        for (uint32_t found = NAME(bits_at_least)(low, sums + v * LANES); found; found &= found - 1)
            points[count++] = (int32_t)(v * LANES + __builtin_ctz(found));
    return count;
}

#include "peaks_search.h"

/* The best set of instructions that this processor has. */
int peaks_instructions(void)
{
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl"))
        return AVX512_VNNI;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? AVX2 : NO_INSTRUCTIONS;
}

/* The largest product of each row of a weight with the points (n, k), and the first point that has it, both (c,), by a set of
   instructions. 0 if it was not done: a number is not finite, no memory is left, or bytes tell these points apart too badly to be fast. */
int peaks(
    int instructions, const float *points, int64_t n, int64_t k, int64_t c, const float *weight, const int8_t *bytes,
    const int32_t *total, const float *scale, const float *size, const float *residual, int32_t threads, float *peak,
    int64_t *place)
{
    const Weight all = {weight, bytes, total, scale, size, residual};
    return (instructions == AVX2 ? peaks_avx2 : peaks_vnni)(points, n, k, c, &all, threads, peak, place);
}

/* The gradient behind a maximum over n points and the ReLU before it. Point points[i] has one peak or more, in order of
   the points; slope (n, k), of which as many rows are filled as are returned, is the sum of these channels' weights (c, k),
   each times its share, where the point's values after the ReLU (n, k) are positive. -1 if it was not done: no memory is
   left, or a place is none. */
int64_t critical_slope(
    int instructions, const int64_t *place, const float *share, const float *weight, const float *after, int64_t n,
    int64_t k, int64_t c, int64_t *points, float *slope)
{
    return (instructions == AVX2 ? slope_avx2 : slope_vnni)(place, share, weight, after, n, k, c, points, slope);
}

#else

int peaks_instructions(void) { return NO_INSTRUCTIONS; }

#endif

int peaks_interface(void) { return INTERFACE; }
