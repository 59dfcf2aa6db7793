// sumi: Stable Diffusion from the command line. cli/ has one file per command.
#include "app/cli/command.h"
#include "app/cli/process.h"

int main(int argc, char** argv) {
  sumi::app::prepare_process();
  return sumi::app::guarded([&] { return sumi::app::run_program({argv + (argc > 0 ? 1 : 0), argv + argc}); });
}
