#include "models/loading/open.h"

#include "base/check.h"
#include "models/family.h"
#include "models/loading/averages.h"
#include "models/loading/diffusers_folder.h"
#include "models/loading/factors.h"
#include "models/loading/renamed.h"
#include "models/loading/tidy_names.h"

namespace sumi::models {

std::unique_ptr<io::Checkpoint> open_model_files(const std::filesystem::path& path, const std::string& variant) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_diffusers_folder(path, variant);
  SUMI_CHECK_KIND(kUsage, variant.empty(), "{}: is a single file, which has no `variant` {}", path.string(), variant);
  std::unique_ptr<io::Checkpoint> file = with_factors_applied(io::open_checkpoint(path));
  for (const Family& family : list_families()) {
    if (family.has_own_names != nullptr && family.has_own_names(*file))
      return renamed(std::move(file), family.engine_name, SameName::kRefuse, {{kFamilyKey, family.name}});
  }
  return with_averages_as_weights(with_tidy_names(std::move(file)));
}

}  // namespace sumi::models
