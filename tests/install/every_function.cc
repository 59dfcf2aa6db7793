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
    &sumi::Model::info,      &sumi::Model::load,       &sumi::Job::settings,    &sumi::Job::run,
    &sumi::Job::cancel,      &sumi::write_png,
};

sumi::Job (sumi::Model::*const prepare[])(const sumi::Request&) const = {&sumi::Model::prepare};
sumi::Job (sumi::Model::*const prepare_checked[])(const sumi::CheckedRequest&) const = {&sumi::Model::prepare};

int main() {
  const sumi::Engine engine;
  const sumi::CheckedRequest request({});
  throw sumi::Error(sumi::ErrorKind::kInternal, "this program is not meant to run");
}
