/* Draws one picture with sumi's C interface:
 *
 *   cc draw.c -o draw $(pkg-config --cflags --libs sumi)
 *   ./draw model.safetensors "a red apple" apple.png */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sumi.h>

static int show_step(void* user, const sumi_step* step) {
  (void)user;
  fprintf(stderr, "\rstep %d of %d%s", (int)step->done, (int)step->steps, step->done == step->steps ? "\n" : "");
  return 0;
}

static int write_picture(void* user, const sumi_image* image, const char* info_json) {
  (void)info_json;
  if (sumi_write_png(user, image, NULL) == SUMI_OK) return 0;
  fprintf(stderr, "%s\n", sumi_error_message());
  return 1; /* ends the job: sumi_job_run returns SUMI_CANCELLED */
}

/* {"NAME": "TEXT"MORE}, to be freed. */
static char* make_json(const char* name, const char* text, const char* more) {
  char *json = malloc(strlen(name) + 6 * strlen(text) + strlen(more) + 9), *end = json;
  if (json == NULL) exit(SUMI_UNAVAILABLE);
  end += sprintf(end, "{\"%s\": \"", name);
  for (; *text != '\0'; ++text) {
    const unsigned char c = (unsigned char)*text;
    end += sprintf(end, c < 0x20 || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
  }
  sprintf(end, "\"%s}", more);
  return json;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s MODEL PROMPT FILE.png\n", argv[0]);
    return SUMI_USAGE;
  }
  sumi_engine* engine = NULL;
  sumi_model* model = NULL;
  sumi_job* job = NULL;
  char* options = make_json("path", argv[1], "");
  char* request = make_json("prompt", argv[2], ", \"seed\": 42");
  const sumi_callbacks callbacks = {sizeof callbacks, show_step, NULL, write_picture, NULL};

  sumi_status status = sumi_engine_create(NULL, &engine);
  if (status == SUMI_OK) status = sumi_model_open(engine, options, &model);
  if (status == SUMI_OK) status = sumi_job_create(model, request, &callbacks, argv[3], &job);
  if (status == SUMI_OK) status = sumi_job_run(job);
  if (status != SUMI_OK && status != SUMI_CANCELLED) fprintf(stderr, "%s\n", sumi_error_message());
  sumi_job_free(job);
  sumi_model_free(model);
  sumi_engine_free(engine);
  free(options);
  free(request);
  return status == SUMI_CANCELLED ? SUMI_CANNOT_CREATE : (int)status; /* nobody else cancels */
}
