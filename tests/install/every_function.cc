// Names every function of the public headers: what the shared library lacks, the linker reports. Never run.
#include <sumi.h>
#include <sumi/engine.h>

#include <tuple>

std::tuple c_functions{
    &sumi_abi_version, &sumi_version,    &sumi_error_message, &sumi_free,         &sumi_engine_create,
    &sumi_engine_free, &sumi_list,       &sumi_model_open,    &sumi_model_free,   &sumi_model_describe,
    &sumi_model_load,  &sumi_job_create, &sumi_job_free,      &sumi_job_describe, &sumi_job_run,
    &sumi_job_cancel,  &sumi_write_png,
};

std::tuple cxx_functions{
    &sumi::Engine::open,     &sumi::Engine::model,     &sumi::Engine::models,   &sumi::Engine::close,
    &sumi::Engine::samplers, &sumi::Engine::schedules, &sumi::Engine::backends, &sumi::Engine::version,
    &sumi::Model::info,      &sumi::Model::load,       &sumi::Model::prepare,   &sumi::Job::settings,
    &sumi::Job::run,         &sumi::Job::cancel,       &sumi::write_png,
};

int main() {
  const sumi::Engine engine;
  throw sumi::Error(sumi::ErrorKind::kInternal, "this program is not meant to run");
}
