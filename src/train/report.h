// An HTML report of a run: loss curves and sample sheets.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace sumi::train {

// Writes FOLDER/report.html from metrics.csv and samples/*.png, one file without scripts that shows the sample sheets.
// `facts` become a table at its top, sorted by name.
void write_report(const std::filesystem::path& folder, const std::map<std::string, std::string>& facts);

}  // namespace sumi::train
