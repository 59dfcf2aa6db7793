// Draws one picture with sumi's C++ interface:
//
//   c++ -std=c++20 draw.cc -o draw $(pkg-config --cflags --libs sumi)
//   ./draw model.safetensors "a red apple" apple.png
#include <sumi/engine.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s MODEL PROMPT FILE.png\n", argv[0]);
    return static_cast<int>(sumi::ErrorKind::kUsage);
  }
  try {
    sumi::Engine engine;
    sumi::Model model = engine.open({.path = argv[1]});
    sumi::Job job = model.prepare({.prompts = {argv[2]}, .seed = 42});
    std::fprintf(stderr, "%s, %d steps\n", job.settings().sampler.c_str(), static_cast<int>(job.settings().steps));
    job.run({
        .step =
            [](const sumi::Step& step) {
              std::fprintf(stderr, "\rstep %d of %d%s", step.done, step.steps, step.done == step.steps ? "\n" : "");
            },
        .picture = [&](sumi::Picture&& picture) { sumi::write_png(argv[3], picture.image, picture.parameters); },
    });
  } catch (const sumi::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
