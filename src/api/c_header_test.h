/* A C program that draws with sumi.h; for the tests, which compile it as C99 with every warning an error. */
#ifndef SUMI_API_C_HEADER_TEST_H
#define SUMI_API_C_HEADER_TEST_H

#include "sumi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CReport {
  int steps, previews, pictures, warnings; /* calls */
  uint64_t hash;                           /* FNV-1a of all pictures' pixels */
  char settings[4096];                     /* as sumi_job_describe gives them */
} CReport;

/* Opens a model and runs a request, all given as JSON. */
sumi_status draw_in_c(const char* engine_options, const char* model_options, const char* request, CReport* report);

#ifdef __cplusplus
}
#endif
#endif
