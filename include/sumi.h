/* sumi's C interface: Stable Diffusion as a library.
 *
 *   sumi_engine* engine; sumi_model* model; sumi_job* job;
 *   sumi_engine_create(NULL, &engine);
 *   sumi_model_open(engine, "{\"path\": \"sd-v1-4.ckpt\"}", &model);
 *   sumi_job_create(model, "{\"prompt\": \"a red apple\", \"seed\": 42}", &callbacks, user, &job);
 *   sumi_job_run(job);
 *
 * Options, requests and replies are JSON in UTF-8; docs/api.md describes them, docs/sumi-request.schema.json is their
 * JSON Schema. An unknown field is an error.
 *
 * Errors: a function that can fail returns a sumi_status; where it is not SUMI_OK, sumi_error_message() has the
 * sentence, and output parameters are set to NULL. No function throws, ends the process, installs a signal handler or
 * pins a thread, unless an engine's options ask for the latter two.
 *
 * Threads: every function may be called from any thread. Functions given the same object at once are safe, except that
 * nothing may be called with an object that is being freed or was freed.
 *
 * Ownership: what a _create or _open function or a char** parameter returned belongs to the caller, who frees it with
 * the function named there. A model keeps its engine alive, a job its model: they may be freed in any order. Texts and
 * callbacks given to a function are copied unless it says otherwise; `user` pointers are never touched. */
#ifndef SUMI_H
#define SUMI_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define SUMI_C_API __attribute__((visibility("default")))
#else
#define SUMI_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a program built against an older header would misbehave; additions do not raise it. */
#define SUMI_ABI_VERSION 1

typedef struct sumi_engine sumi_engine; /* threads, and the models opened */
typedef struct sumi_model sumi_model;   /* an opened model; its weights are loaded once, by the first job */
typedef struct sumi_job sumi_job;       /* a request, checked and decided; runs once */

typedef enum sumi_status {
  SUMI_OK = 0,
  SUMI_USAGE = 64,         /* a request or an option is wrong */
  SUMI_DATA = 65,          /* a file's contents are wrong */
  SUMI_NO_INPUT = 66,      /* a file is missing or cannot be read */
  SUMI_UNAVAILABLE = 69,   /* this build or machine cannot do it (no such backend, not enough memory) */
  SUMI_INTERNAL = 70,      /* numbers went wrong, or a bug in sumi */
  SUMI_CANNOT_CREATE = 73, /* an output cannot be written */
  SUMI_IO = 74,            /* a read or write failed */
  SUMI_CANCELLED = 130     /* sumi_job_cancel */
} sumi_status;

/* RGB, 8 bits a value: row y begins at pixels + y * stride, stride >= 3 * width bytes. */
typedef struct sumi_image {
  const uint8_t* pixels;
  int64_t width, height, stride;
} sumi_image;

/* Before a batch's first step (done 0) and after each. */
typedef struct sumi_step {
  int64_t batch, batches; /* over all iterations */
  int32_t done, steps;    /* of this batch */
} sumi_step;

/* What a running job calls, on the thread that called sumi_job_run, each with the job's user pointer; any may be NULL.
 * Images and texts are valid during the call only. A callback that returns other than 0 cancels the job. Callbacks may
 * call sumi_job_cancel and functions of other objects. */
typedef struct sumi_callbacks {
  size_t size; /* sizeof(sumi_callbacks), so that the struct can grow */
  int (*step)(void* user, const sumi_step* step);
  int (*preview)(void* user, const sumi_image* image, int64_t number, const sumi_step* step);
  int (*picture)(void* user, const sumi_image* image, const char* info_json);
  int (*warning)(void* user, const char* sentence);
} sumi_callbacks;

/* The SUMI_ABI_VERSION that the library was built with. */
SUMI_C_API int sumi_abi_version(void);
/* "0.1.0". Static; not to be freed. */
SUMI_C_API const char* sumi_version(void);
/* The sentence for the calling thread's last call that failed; "" before any. Valid until that thread's next failing
 * call; not to be freed. Names in backquotes are JSON fields. */
SUMI_C_API const char* sumi_error_message(void);
/* Frees a text that a char** parameter returned; NULL is fine. */
SUMI_C_API void sumi_free(char* text);

/* options_json: EngineOptions, or NULL for the defaults. Free with sumi_engine_free. */
SUMI_C_API sumi_status sumi_engine_create(const char* options_json, sumi_engine** engine);
SUMI_C_API void sumi_engine_free(sumi_engine* engine);
/* What the library has: a JSON array of {"name", "help", "aliases"}. what: "samplers", "schedules" or "backends". Free
 * with sumi_free. */
SUMI_C_API sumi_status sumi_list(const char* what, char** json);

/* Opens a model without reading its weights. options_json: ModelOptions, "path" at least. Free with sumi_model_free. */
SUMI_C_API sumi_status sumi_model_open(sumi_engine* engine, const char* options_json, sumi_model** model);
SUMI_C_API void sumi_model_free(sumi_model* model);
/* ModelInfo as JSON. Free with sumi_free. */
SUMI_C_API sumi_status sumi_model_describe(const sumi_model* model, char** json);
/* Loads the weights now rather than in the first job. */
SUMI_C_API sumi_status sumi_model_load(sumi_model* model);

/* Checks a request (Request as JSON) and decides what it leaves open; draws nothing. callbacks may be NULL. Free with
 * sumi_job_free. */
SUMI_C_API sumi_status sumi_job_create(sumi_model* model, const char* request_json, const sumi_callbacks* callbacks,
                                       void* user, sumi_job** job);
/* Frees the job; one that runs must have returned from sumi_job_run first. */
SUMI_C_API void sumi_job_free(sumi_job* job);
/* The decided Settings as JSON. Free with sumi_free. */
SUMI_C_API sumi_status sumi_job_describe(const sumi_job* job, char** json);
/* Draws all pictures and returns when they are done, failed or cancelled. Uses the calling thread and the engine's. */
SUMI_C_API sumi_status sumi_job_run(sumi_job* job);
/* Asks the job to stop: sumi_job_run returns SUMI_CANCELLED within a step. From any thread, also before it runs. */
SUMI_C_API void sumi_job_cancel(sumi_job* job);

/* Writes a PNG, whole or not at all. parameters: the settings to carry in it, or NULL. */
SUMI_C_API sumi_status sumi_write_png(const char* path, const sumi_image* image, const char* parameters);

#ifdef __cplusplus
}
#endif
#endif
