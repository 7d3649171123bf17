/* The largest product of each channel's weight with the points of a cloud, and the point: see peaks.py.

   Points become bytes and are multiplied with a weight of bytes. Of a channel's points only those are then multiplied in
   single precision that can still be the largest, given how far such a product is from the exact one. */

#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,prefer-vector-width=512")))
#define UNROLLED _Pragma("GCC unroll 8")

enum {
    LANES = 16, /* whole numbers, or floats, in a register */
    ROWS = 8, COLUMNS = 2, /* channels, and registers of points, that are multiplied together: their sums stay in registers */
    FOUR = 4, /* bytes that the instruction multiplies and adds up at once */
};

static const float MARGIN = 1.001f; /* on a bound that is itself rounded */
static const int32_t FAR = 2000000000; /* no product of bytes is as large */

/* A cloud of n points (n, k) as bytes: a point is nearly centre + unit * (byte - 128). */
typedef struct {
    const float *points;
    int64_t n, k, fours, registers;
    uint8_t *bytes; /* (registers, fours, LANES, FOUR) */
    float *centre;  /* (k,) */
    float unit;
    float size; /* the largest norm of a point less the centre */
    float rest; /* the largest norm of what the bytes leave of it */
} Cloud;

/* A weight (c, k) as bytes, row by row: nearly scale * byte. */
typedef struct {
    const float *weight;
    const int8_t *bytes;  /* (c, fours * FOUR), c filled up to a multiple of ROWS */
    const int32_t *total; /* (c,) of the bytes of a row */
    const float *scale;   /* (c,) */
    const float *size;    /* (c,) norm of what the bytes stand for */
    const float *rest;    /* (c,) norm of what they leave */
} Weight;

VNNI static float dot(const float *a, const float *b, int64_t k)
{
    __m512 sum[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    int64_t j = 0;
    for (; j + 4 * LANES <= k; j += 4 * LANES)
        UNROLLED for (int i = 0; i < 4; i++)
            sum[i] = _mm512_fmadd_ps(_mm512_loadu_ps(a + j + i * LANES), _mm512_loadu_ps(b + j + i * LANES), sum[i]);
    for (; j < k; j += LANES) {
        __mmask16 there = k - j >= LANES ? 0xffff : (1u << (k - j)) - 1;
        sum[0] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(there, a + j), _mm512_maskz_loadu_ps(there, b + j), sum[0]);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3])));
}

/* Fills the cloud's bytes and what is said of them; row is room for one point. Whether all points are finite. */
VNNI static int quantise(Cloud *cloud, float *high, uint8_t *row)
{
    const int64_t n = cloud->n, k = cloud->k;
    float *const centre = cloud->centre;
    memcpy(centre, cloud->points, sizeof(float) * k);
    memcpy(high, cloud->points, sizeof(float) * k);
    for (int64_t i = 1; i < n; i++) {
        const float *point = cloud->points + i * k;
        for (int64_t j = 0; j < k; j++) {
            centre[j] = point[j] < centre[j] ? point[j] : centre[j];
            high[j] = point[j] > high[j] ? point[j] : high[j];
        }
    }
    float half = 0;
    for (int64_t j = 0; j < k; j++) {
        centre[j] = (centre[j] + high[j]) / 2;
        half = high[j] - centre[j] > half ? high[j] - centre[j] : half;
    }
    const float unit = half > 0 ? half / 127 : 1, scale = 1 / unit;
    float size = 0, rest = 0, total = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *point = cloud->points + i * k;
        float far = 0, left = 0;
        for (int64_t j = 0; j < k; j++) {
            float shift = point[j] - centre[j];
            int32_t byte = (int32_t)(shift * scale + 128.5f);
            float miss = shift - unit * (float)(byte - 128);
            row[j] = (uint8_t)byte;
            far += shift * shift;
            left += miss * miss;
        }
        size = far > size ? far : size;
        rest = left > rest ? left : rest;
        total += far; /* which no comparison keeps from being infinite or not a number */
        uint8_t *bytes = cloud->bytes + (i / LANES * cloud->fours * LANES + i % LANES) * FOUR;
        for (int64_t q = 0; q < cloud->fours; q++)
            memcpy(bytes + q * LANES * FOUR, row + q * FOUR, FOUR);
    }
    cloud->unit = unit, cloud->size = sqrtf(size), cloud->rest = sqrtf(rest);
    return isfinite(total);
}

/* Products (ROWS, registers * LANES) of bytes, of the channels from c on, and the largest of each. */
VNNI static void multiply(const Cloud *cloud, const Weight *weight, int64_t c, int32_t *products, int32_t *highest)
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
                const __m512i product = _mm512_mask_mov_epi32(none, there, sum[r][p]);
                _mm512_store_si512(products + r * stride + (v + p) * LANES, product);
                top[r] = _mm512_max_epi32(top[r], product);
            }
        }
    }
    UNROLLED for (int r = 0; r < ROWS; r++) highest[r] = _mm512_reduce_max_epi32(top[r]);
}

/* Place of the first of the products (registers * LANES) that is the highest. */
VNNI static int64_t first_of(int32_t highest, const int32_t *products)
{
    const __m512i level = _mm512_set1_epi32(highest);
    __mmask16 found;
    int64_t at = 0;
    while (!(found = _mm512_cmpeq_epi32_mask(_mm512_load_si512(products + at), level))) at += LANES;
    return at + __builtin_ctz(found);
}

/* Places of the products (registers * LANES) that are at least low, in order; how many. */
VNNI static int64_t at_least(int32_t low, const int32_t *products, int64_t registers, int32_t *places)
{
    const __m512i level = _mm512_set1_epi32(low), step = _mm512_set1_epi32(LANES);
    __m512i place = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    int64_t count = 0;
    for (int64_t v = 0; v < registers; v++) {
        const __mmask16 found = _mm512_cmpge_epi32_mask(_mm512_load_si512(products + v * LANES), level);
        _mm512_storeu_si512(places + count, _mm512_maskz_compress_epi32(found, place));
        count += __builtin_popcount(found);
        place = _mm512_add_epi32(place, step);
    }
    return count;
}

/* Peaks and places of the channels from start to stop. Whether there was memory for it. */
VNNI static int search(
    const Cloud *cloud, const Weight *weight, int64_t start, int64_t stop, float *peak, int64_t *place)
{
    const int64_t k = cloud->k, stride = cloud->registers * LANES;
    int32_t *products = aligned_alloc(64, sizeof(int32_t) * stride * ROWS);
    int32_t *places = malloc(sizeof(int32_t) * (stride + LANES));
    const int room = products && places;
    int32_t highest[ROWS];
    for (int64_t c = start; room && c < stop; c++) {
        const int row = (c - start) % ROWS;
        if (row == 0) multiply(cloud, weight, c, products, highest);
        const int32_t *mine = products + row * stride;
        const float *w = weight->weight + c * k;
        /* the point with the largest of these products is nearly the one that is looked for, and sets the bar for all */
        const int64_t high = first_of(highest[row], mine);
        const float near = dot(w, cloud->points + high * k, k) - dot(w, cloud->centre, k);
        const float error = MARGIN * (weight->rest[c] * cloud->size + weight->size[c] * cloud->rest);
        const double bar = floor((near - error) / (weight->scale[c] * cloud->unit)) + 128.0 * weight->total[c];
        const int32_t low = bar > -FAR ? (int32_t)(bar < FAR ? bar : FAR) : -FAR;
        const int64_t count = at_least(low < highest[row] ? low : highest[row], mine, cloud->registers, places);
        peak[c] = -INFINITY;
        for (int64_t i = 0; i < count; i++) {
            const float value = dot(w, cloud->points + places[i] * k, k);
            if (value > peak[c]) peak[c] = value, place[c] = places[i];
        }
    }
    free(products), free(places);
    return room;
}

int peaks_supported(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/* Largest product of each row of a weight with the points (n, k), and the first point that has it, both (c,). 0 if it
   could not be done: a point is not finite, or no memory is left. */
int peaks(
    const float *points, int64_t n, int64_t k, int64_t c, const float *weight, const int8_t *bytes, const int32_t *total,
    const float *scale, const float *size, const float *rest, int32_t threads, float *peak, int64_t *place)
{
    Cloud cloud = {.points = points, .n = n, .k = k, .fours = (k + FOUR - 1) / FOUR};
    const Weight all = {weight, bytes, total, scale, size, rest};
    cloud.registers = (n + LANES * COLUMNS - 1) / (LANES * COLUMNS) * COLUMNS;
    cloud.bytes = aligned_alloc(64, cloud.registers * cloud.fours * LANES * FOUR);
    cloud.centre = malloc(sizeof(float) * k);
    float *high = malloc(sizeof(float) * k);
    uint8_t *row = calloc(cloud.fours, FOUR);
    int done = cloud.bytes && cloud.centre && high && row && quantise(&cloud, high, row);
    if (done) {
        const int64_t groups = (c + ROWS - 1) / ROWS;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(&& : done)
        for (int32_t t = 0; t < threads; t++) {
            const int64_t stop = groups * (t + 1) / threads * ROWS;
            done = search(&cloud, &all, groups * t / threads * ROWS, stop < c ? stop : c, peak, place) && done;
        }
    }
    free(cloud.bytes), free(cloud.centre), free(high), free(row);
    return done;
}

/* The gradient behind a maximum over n points and the ReLU before it. Point rows[i] won one channel or more, in order of
   the points; slope (n, k), of which as many rows are filled as are returned, is the sum of these channels' weights (c, k),
   each times its share, where the point's values after the ReLU (n, k) are positive. -1 if no memory is left. */
VNNI int64_t critical_slope(
    const int64_t *place, const float *share, const float *weight, const float *after, int64_t n, int64_t k, int64_t c,
    int64_t *rows, float *slope)
{
    int64_t *row = calloc(n, sizeof(int64_t)), count = 0;
    if (!row) return -1;
    for (int64_t i = 0; i < c; i++) row[place[i]] = 1;
    for (int64_t i = 0; i < n; i++)
        if (row[i]) rows[count] = i, row[i] = count++;
    memset(slope, 0, sizeof(float) * count * k);
    for (int64_t i = 0; i < c; i++) {
        float *sum = slope + row[place[i]] * k;
        for (int64_t j = 0; j < k; j++) sum[j] += share[i] * weight[i * k + j];
    }
    for (int64_t i = 0; i < count; i++) {
        const float *value = after + rows[i] * k;
        for (int64_t j = 0; j < k; j++) slope[i * k + j] = value[j] > 0 ? slope[i * k + j] : 0;
    }
    free(row);
    return count;
}

#else

int peaks_supported(void) { return 0; }

#endif
