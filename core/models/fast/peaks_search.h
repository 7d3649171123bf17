/* What peaks.c does with each set of instructions, which it defines NAME, TARGET, LANES and ROWS for, and functions for the
   innermost loops, before it includes this. */

/* Fills in bytes, centre, unit, size and residual; highest (k,) and line (fours * FOUR) are room to work. Whether all points
   are finite, and not so close together that a unit has no inverse. */
TARGET static int NAME(quantise)(Cloud *cloud, float *highest, uint8_t *line)
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

/* Peaks and places of the channels from start to stop. 0 if there is no memory, or too much is left to multiply. */
TARGET static int NAME(search)(
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
        if (row == 0) NAME(multiply)(cloud, weight, c, sums, largest);
        const int32_t *mine = sums + row * stride;
        const float *w = weight->weight + c * k;
        /* the point with the largest sum is nearly the one that is looked for, and sets the bar for all */
        const float *nearest = cloud->points + NAME(first_of)(largest[row], mine) * k;
        const double near = (double)NAME(dot)(w, nearest, k) - NAME(dot)(w, cloud->centre, k);
        const double error = MARGIN * (weight->size[c] * cloud->residual + weight->residual[c] * cloud->size) + 1;
        const double bar = near / weight->scale[c] / cloud->unit - error + (double)ZERO * weight->total[c];
        const int32_t low = bar > -FAR ? (int32_t)(bar < largest[row] ? floor(bar) : largest[row]) : -FAR;
        const int64_t count = NAME(at_least)(low, mine, cloud->registers, candidates);
        left -= count;
        fine = isfinite(near) && left + fair * ROWS >= 0;
        peak[c] = -INFINITY, place[c] = candidates[0];
        for (int64_t i = 0; fine && i < count; i++) {
            const float value = NAME(dot)(w, cloud->points + candidates[i] * k, k);
            if (value > peak[c]) peak[c] = value, place[c] = candidates[i];
        }
    }
    free(sums), free(candidates);
    return fine;
}

/* As peaks in peaks.c. */
static int NAME(peaks)(
    const float *points, int64_t n, int64_t k, int64_t c, const Weight *weight, int32_t threads, float *peak, int64_t *place)
{
    Cloud cloud = {.points = points, .n = n, .k = k, .fours = (k + FOUR - 1) / FOUR};
    cloud.registers = (n + LANES * COLUMNS - 1) / (LANES * COLUMNS) * COLUMNS;
    cloud.bytes = aligned_alloc(64, cloud.registers * cloud.fours * LANES * FOUR);
    cloud.centre = malloc(sizeof(float) * k);
    float *highest = malloc(sizeof(float) * k);
    uint8_t *line = calloc(cloud.fours, FOUR);
    int done = cloud.bytes && cloud.centre && highest && line && NAME(quantise)(&cloud, highest, line);
    if (done) {
        const int64_t groups = (c + ROWS - 1) / ROWS;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(&& : done)
        for (int32_t t = 0; t < threads; t++) {
            const int64_t stop = groups * (t + 1) / threads * ROWS;
            done = NAME(search)(&cloud, weight, groups * t / threads * ROWS, stop < c ? stop : c, peak, place) && done;
        }
    }
    free(cloud.bytes), free(cloud.centre), free(highest), free(line);
    return done;
}

/* As critical_slope in peaks.c. */
TARGET static int64_t NAME(slope)(
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
