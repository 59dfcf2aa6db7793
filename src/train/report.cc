#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/atomic_file.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

// The columns of metrics.csv, by name; text that is not a number becomes NaN.
struct Metrics {
  std::vector<std::string> names;
  std::vector<std::vector<double>> columns;
};

Metrics read_metrics(const fs::path& path) {
  Metrics out;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  std::istringstream header(line);
  for (std::string name; std::getline(header, name, ',');) out.names.push_back(name);
  out.columns.resize(out.names.size());
  while (std::getline(file, line)) {
    const char* at = line.c_str();
    for (std::vector<double>& column : out.columns) {
      char* end = nullptr;
      const double value = std::strtod(at, &end);
      column.push_back(end == at ? std::nan("") : value);
      at = *end == ',' ? end + 1 : end;
    }
  }
  return out;
}

// The title of a column.
std::string title_of(const std::string& name) {
  if (name == "loss") return "Loss";
  if (name == "grad_norm") return "Norm of the gradient";
  if (name == "lr") return "Learning rate";
  return name;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

// The means of at most `most` consecutive parts; values that are not finite are left out.
std::vector<std::pair<double, double>> thinned(const std::vector<double>& x, const std::vector<double>& y,
                                               size_t most) {
  std::vector<std::pair<double, double>> points;
  const size_t width = std::max<size_t>(1, (x.size() + most - 1) / most);
  for (size_t begin = 0; begin < x.size(); begin += width) {
    double sum = 0.0, count = 0.0;
    for (size_t i = begin; i < std::min(x.size(), begin + width); ++i) {
      if (!std::isfinite(y[i])) continue;
      sum += y[i];
      count += 1.0;
    }
    if (count > 0.0) points.emplace_back(x[begin], sum / count);
  }
  return points;
}

std::string curve(const std::string& title, const std::vector<double>& x, const std::vector<double>& y) {
  const auto points = thinned(x, y, 400);
  if (points.empty()) return {};
  double least = points[0].second, most = least;
  for (const auto& [step, value] : points) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  if (most == least) most = least + 1.0;
  constexpr double kWidth = 720.0, kHeight = 220.0;
  const double last = std::max(1.0, points.back().first);
  std::string line;
  for (const auto& [step, value] : points)
    line += fmt::format("{:.1f},{:.1f} ", step / last * kWidth, (most - value) / (most - least) * kHeight);
  return fmt::format(
      "<h2>{}</h2>\n<svg viewBox=\"-70 -10 800 250\" width=\"800\" role=\"img\" aria-label=\"{}\">\n"
      "<rect width=\"720\" height=\"220\" fill=\"none\" stroke=\"#bbb\"/>\n"
      "<text x=\"-8\" y=\"8\" text-anchor=\"end\">{:.4g}</text><text x=\"-8\" y=\"220\" "
      "text-anchor=\"end\">{:.4g}</text>\n"
      "<text x=\"0\" y=\"236\">{:.0f}</text><text x=\"720\" y=\"236\" text-anchor=\"end\">step {:.0f}</text>\n"
      "<polyline points=\"{}\" fill=\"none\" stroke=\"#c33\" stroke-width=\"1.5\"/>\n</svg>\n",
      title, title, most, least, points.front().first, points.back().first, line);
}

std::string sample_sheets(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "samples", error)) {
    if (entry.path().extension() == ".png") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  std::string html = names.empty() ? "" : "<h2>Samples</h2>\n";
  for (const std::string& name : names) {
    html += fmt::format(
        "<figure><img src=\"samples/{0}\" alt=\"samples after step {1}\"><figcaption>{1}</figcaption></figure>\n",
        escaped(name), escaped(name.substr(0, name.find('.'))));
  }
  return html;
}

}  // namespace

void write_report(const fs::path& folder, const std::map<std::string, std::string>& facts) {
  const Metrics m = read_metrics(folder / "metrics.csv");
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Training run</title>\n"
      "<style>body{font:15px sans-serif;margin:2em auto;max-width:820px}td{padding:0 1em 0 0}text{font-size:12px}"
      "figure{display:inline-block;margin:4px}img{max-width:100%}</style>\n<h1>Training run</h1>\n<table>\n";
  for (const auto& [name, value] : facts)
    html += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escaped(name), escaped(value));
  html += "</table>\n";
  for (size_t i = 1; i < m.names.size(); ++i) {
    if (m.names[i] != "seconds") html += curve(escaped(title_of(m.names[i])), m.columns[0], m.columns[i]);
  }
  html += sample_sheets(folder) + "</html>\n";
  AtomicFile file(folder / "report.html");
  file.write(html);
  file.commit();
}

}  // namespace sumi::train
