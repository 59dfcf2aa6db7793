// A page about a run for people to look at: loss curves and sample sheets.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace sumi::train {

// Writes FOLDER/report.html from metrics.csv and samples/*.png, one file without scripts that shows the pictures beside
// it. `facts` become a table at its head, in order of their names.
void write_report(const std::filesystem::path& folder, const std::map<std::string, std::string>& facts);

}  // namespace sumi::train
