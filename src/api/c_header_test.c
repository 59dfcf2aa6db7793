#include "sumi.h" /* first: it needs nothing before it */

#include <string.h>

#include "api/c_header_test.h"

static int on_step(void* user, const sumi_step* step) {
  CReport* report = user;
  report->steps += 1;
  return step->done < 0 || step->done > step->steps || step->batch >= step->batches;
}

static int on_preview(void* user, const sumi_image* image, int64_t number, const sumi_step* step) {
  CReport* report = user;
  report->previews += 1;
  return image->pixels == NULL || number < 0 || step->done < 1;
}

static int on_picture(void* user, const sumi_image* image, const char* info_json) {
  CReport* report = user;
  int64_t x, y;
  report->pictures += 1;
  for (y = 0; y < image->height; ++y) {
    for (x = 0; x < 3 * image->width; ++x)
      report->hash = (report->hash ^ image->pixels[y * image->stride + x]) * UINT64_C(1099511628211);
  }
  return strlen(info_json) == 0;
}

static int on_warning(void* user, const char* sentence) {
  CReport* report = user;
  report->warnings += 1;
  return strlen(sentence) == 0;
}

sumi_status draw_in_c(const char* engine_options, const char* model_options, const char* request, CReport* report) {
  const sumi_callbacks callbacks = {sizeof(sumi_callbacks), on_step, on_preview, on_picture, on_warning};
  sumi_engine* engine = NULL;
  sumi_model* model = NULL;
  sumi_job* job = NULL;
  char* settings = NULL;
  sumi_status status;
  memset(report, 0, sizeof *report);
  report->hash = UINT64_C(14695981039346656037);
  status = sumi_engine_create(engine_options, &engine);
  if (status == SUMI_OK) status = sumi_model_open(engine, model_options, &model);
  if (status == SUMI_OK) status = sumi_job_create(model, request, &callbacks, report, &job);
  if (status == SUMI_OK) status = sumi_job_describe(job, &settings);
  if (status == SUMI_OK) strncpy(report->settings, settings, sizeof report->settings - 1);
  if (status == SUMI_OK) status = sumi_job_run(job);
  sumi_free(settings);
  sumi_job_free(job);
  sumi_model_free(model);
  sumi_engine_free(engine);
  return status;
}
