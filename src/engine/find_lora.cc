#include "engine/find_lora.h"

#include <vector>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::engine {

namespace fs = std::filesystem;

fs::path find_lora(const std::string& name, const fs::path& chosen, const fs::path& model,
                   const fs::path& data_folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  if (!chosen.empty()) {
    folders = {chosen};
  } else {
    const fs::path beside = fs::is_directory(model, error) ? model : fs::absolute(model, error).parent_path();
    folders = {beside, beside / "loras", beside / "Lora"};
    if (!data_folder.empty()) folders.push_back(data_folder / "loras");
  }
  std::string looked;
  for (const fs::path& folder : folders) {
    for (const char* ending : {".safetensors", ".pt", ".ckpt"}) {
      fs::path file = folder / (name + ending);
      if (fs::is_regular_file(file, error)) return file;
    }
    looked += (looked.empty() ? "" : ", ") + folder.string();
  }
  fail(ErrorKind::kNoInput,
       "the prompt names the lora \"{}\"; there is no {}.safetensors in {}; choose its folder with `lora_folder`",
       excerpt(name), excerpt(name), looked);
}

}  // namespace sumi::engine
