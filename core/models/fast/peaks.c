/* The largest product of each channel's weight with the points of a cloud, and the point: see peaks.py.

   Points become bytes around a centre and are multiplied with a weight of bytes. Of a channel's points only those are then
   multiplied in single precision that can still be the largest. With w = scale (W + r) and x = centre + unit (D + m), where
   W and D are whole numbers and r and m what rounding left of them,

       <w, x> = <w, centre> + scale unit (<W, D> + <W, m> + <r, D + m>),

   and the last two are at most |W| |m| + |r| |D + m| together. All norms are in units of bytes: no scale of the points or
   weights makes them overflow or vanish. */

#include <stdint.h>

enum { INTERFACE = 1 }; /* peaks.py opens no library of another: raise both with any change of a signature */

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))
#define UNROLLED _Pragma("GCC unroll 8")
#ifdef __clang__
#define KEEPS_SUMS
#else
#define KEEPS_SUMS __attribute__((optimize("no-tree-pre"))) /* or GCC moves the sums between registers at each step */
#endif

enum {
    LANES = 16, /* whole numbers, or floats, in a register */
    ROWS = 8, COLUMNS = 2, /* channels, and registers of points, that are multiplied together: their sums stay in registers */
    FOUR = 4, /* bytes that the instruction multiplies and adds up at once */
    ZERO = 128, /* the byte that stands for the whole number 0 of a point */
    FEW = 32, /* candidates a channel that are no reason to give up */
};

static const float MARGIN = 1.001f; /* on a bound that is itself rounded */
static const int32_t FAR = 2000000000; /* no sum of products is as large: peaks.py allows so many inputs at most */

/* A cloud of n points (n, k), as said above. */
typedef struct {
    const float *points;
    int64_t n, k, fours, registers;
    uint8_t *bytes; /* (registers, fours, LANES, FOUR), D + ZERO */
    float *centre;  /* (k,) */
    float unit;
    float size; /* the largest |D + m| of a point */
    float residual; /* the largest |m| */
} Cloud;

/* A weight (c, k), as said above. */
typedef struct {
    const float *weight;
    const int8_t *bytes;  /* (c, fours * FOUR), W; c is filled up to a multiple of ROWS */
    const int32_t *total; /* (c,), sum of a row of W */
    const float *scale;   /* (c,) */
    const float *size;    /* (c,), |W| */
    const float *residual; /* (c,), |r| */
} Weight;

VNNI static float dot(const float *a, const float *b, int64_t k)
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

/* Fills in bytes, centre, unit, size and residual; highest (k,) and line (fours * FOUR) are room to work. Whether all points
   are finite, and not so close together that a unit has no inverse. */
VNNI static int quantise(Cloud *cloud, float *highest, uint8_t *line)
{
    const int64_t n = cloud->n, k = cloud->k;
    float *const centre = cloud->centre, *const lowest = centre; /* by names of their own: a byte may be part of a pointer */
    memcpy(lowest, cloud->points, sizeof(float) * k);
    memcpy(highest, cloud->points, sizeof(float) * k);
    for (int64_t i = 1; i < n; i++) {
        const float *point = cloud->points + i * k;
        for (int64_t j = 0; j < k; j++) {
            lowest[j] = point[j] < lowest[j] ? point[j] : lowest[j];
            highest[j] = point[j] > highest[j] ? point[j] : highest[j];
        }
    }
    float half = 0;
    for (int64_t j = 0; j < k; j++) {
        const float middle = lowest[j] / 2 + highest[j] / 2; /* rounded: it may be nearer to one side */
        const float above = highest[j] - middle, below = middle - lowest[j];
        half = above > half ? above : half;
        half = below > half ? below : half;
        centre[j] = middle;
    }
    const float unit = half > 0 ? half / 127 : 1, inverse = 1 / unit;
    float size = 0, residual = 0, total = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *point = cloud->points + i * k;
        float squares = 0, misses = 0;
        for (int64_t j = 0; j < k; j++) {
            const float shift = (point[j] - centre[j]) * inverse;
            const int32_t byte = shift > -128 && shift < 128 ? (int32_t)(shift + (ZERO + 0.5f)) : ZERO;
            const float miss = shift - (float)(byte - ZERO);
            line[j] = (uint8_t)byte;
            squares += shift * shift;
            misses += miss * miss;
        }
        size = squares > size ? squares : size;
        residual = misses > residual ? misses : residual;
        total += squares; /* which no comparison keeps from being infinite or not a number */
        uint8_t *bytes = cloud->bytes + (i / LANES * cloud->fours * LANES + i % LANES) * FOUR;
        for (int64_t q = 0; q < cloud->fours; q++) memcpy(bytes + q * LANES * FOUR, line + q * FOUR, FOUR);
    }
    cloud->unit = unit, cloud->size = sqrtf(size), cloud->residual = sqrtf(residual);
    return isfinite(total) && isfinite(inverse);
}

/* Sums of products of bytes (ROWS, registers * LANES), of the channels from c on, and the largest of each channel. */
VNNI KEEPS_SUMS static void multiply(const Cloud *cloud, const Weight *weight, int64_t c, int32_t *sums, int32_t *largest)
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
VNNI static int64_t first_of(int32_t largest, const int32_t *sums)
{
    const __m512i level = _mm512_set1_epi32(largest);
    __mmask16 found;
    int64_t point = 0;
    while (!(found = _mm512_cmpeq_epi32_mask(_mm512_load_si512(sums + point), level))) point += LANES;
    return point + __builtin_ctz(found);
}

/* The points, in order, whose sums are at least low; how many. */
VNNI static int64_t at_least(int32_t low, const int32_t *sums, int64_t registers, int32_t *points)
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

/* Peaks and places of the channels from start to stop. 0 if there is no memory, or too much is left to multiply. */
VNNI static int search(
    const Cloud *cloud, const Weight *weight, int64_t start, int64_t stop, float *peak, int64_t *place)
{
    const int64_t k = cloud->k, stride = cloud->registers * LANES;
    const int64_t fair = cloud->n / 8 > FEW ? cloud->n / 8 : FEW; /* of a channel; beyond, all products are faster */
    int64_t left = fair * (stop - start);
    int32_t *sums = aligned_alloc(64, sizeof(int32_t) * stride * ROWS);
    int32_t *candidates = malloc(sizeof(int32_t) * (stride + LANES));
    int32_t largest[ROWS];
    int fine = sums && candidates;
    for (int64_t c = start; fine && c < stop; c++) {
        const int row = (c - start) % ROWS;
        if (row == 0) multiply(cloud, weight, c, sums, largest);
        const int32_t *mine = sums + row * stride;
        const float *w = weight->weight + c * k;
        /* the point with the largest sum is nearly the one that is looked for, and sets the bar for all */
        const double near = (double)dot(w, cloud->points + first_of(largest[row], mine) * k, k) - dot(w, cloud->centre, k);
        const double error = MARGIN * (weight->size[c] * cloud->residual + weight->residual[c] * cloud->size) + 1;
        const double bar = near / weight->scale[c] / cloud->unit - error + (double)ZERO * weight->total[c];
        const int32_t low = bar > -FAR ? (int32_t)(bar < largest[row] ? floor(bar) : largest[row]) : -FAR;
        const int64_t count = at_least(low, mine, cloud->registers, candidates);
        left -= count;
        fine = isfinite(near) && left + fair * ROWS >= 0;
        peak[c] = -INFINITY, place[c] = candidates[0];
        for (int64_t i = 0; fine && i < count; i++) {
            const float value = dot(w, cloud->points + candidates[i] * k, k);
            if (value > peak[c]) peak[c] = value, place[c] = candidates[i];
        }
    }
    free(sums), free(candidates);
    return fine;
}

int peaks_interface(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") ? INTERFACE : 0;
}

/* The largest product of each row of a weight with the points (n, k), and the first point that has it, both (c,). 0 if
   it was not done: a number is not finite, no memory is left, or bytes tell these points apart too badly to be fast. */
int peaks(
    const float *points, int64_t n, int64_t k, int64_t c, const float *weight, const int8_t *bytes, const int32_t *total,
    const float *scale, const float *size, const float *residual, int32_t threads, float *peak, int64_t *place)
{
    Cloud cloud = {.points = points, .n = n, .k = k, .fours = (k + FOUR - 1) / FOUR};
    const Weight all = {weight, bytes, total, scale, size, residual};
    cloud.registers = (n + LANES * COLUMNS - 1) / (LANES * COLUMNS) * COLUMNS;
    cloud.bytes = aligned_alloc(64, cloud.registers * cloud.fours * LANES * FOUR);
    cloud.centre = malloc(sizeof(float) * k);
    float *highest = malloc(sizeof(float) * k);
    uint8_t *line = calloc(cloud.fours, FOUR);
    int done = cloud.bytes && cloud.centre && highest && line && quantise(&cloud, highest, line);
    if (done) {
        const int64_t groups = (c + ROWS - 1) / ROWS;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(&& : done)
        for (int32_t t = 0; t < threads; t++) {
            const int64_t stop = groups * (t + 1) / threads * ROWS;
            done = search(&cloud, &all, groups * t / threads * ROWS, stop < c ? stop : c, peak, place) && done;
        }
    }
    free(cloud.bytes), free(cloud.centre), free(highest), free(line);
    return done;
}

/* The gradient behind a maximum over n points and the ReLU before it. Point points[i] has one peak or more, in order of
   the points; slope (n, k), of which as many rows are filled as are returned, is the sum of these channels' weights (c, k),
   each times its share, where the point's values after the ReLU (n, k) are positive. -1 if it was not done: no memory is
   left, or a place is none. */
VNNI int64_t critical_slope(
    const int64_t *place, const float *share, const float *weight, const float *after, int64_t n, int64_t k, int64_t c,
    int64_t *points, float *slope)
{
    int64_t *row = calloc(n, sizeof(int64_t)), count = 0, wrong = !row;
    for (int64_t i = 0; !wrong && i < c; i++) {
        wrong = place[i] < 0 || place[i] >= n;
        if (!wrong) row[place[i]] = 1;
    }
    for (int64_t i = 0; !wrong && i < n; i++)
        if (row[i]) points[count] = i, row[i] = count++;
    memset(slope, 0, sizeof(float) * count * k);
    for (int64_t i = 0; !wrong && i < c; i++) {
        float *sum = slope + row[place[i]] * k;
        for (int64_t j = 0; j < k; j++) sum[j] += share[i] * weight[i * k + j];
    }
    for (int64_t i = 0; i < count; i++) {
        const float *value = after + points[i] * k;
        for (int64_t j = 0; j < k; j++) slope[i * k + j] = value[j] <= 0 ? 0 : slope[i * k + j];
    }
    free(row);
    return wrong ? -1 : count;
}

#else

int peaks_interface(void) { return 0; }

#endif
