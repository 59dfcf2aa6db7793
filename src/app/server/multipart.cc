#include "app/server/multipart.h"

#include <algorithm>
#include <utility>

#include "app/server/http_text.h"
#include "base/check.h"
#include "base/text_util.h"

namespace sumi::app {
namespace {

constexpr std::string_view kFormType = "multipart/form-data";
constexpr std::string_view kLineEnd = "\r\n", kDashes = "--";
constexpr size_t kMostBoundaryBytes = 70;  // RFC 2046, section 5.1.1

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

using Parameters = std::vector<std::pair<std::string, std::string>>;  // names in lower case

// A quoted value; `rest` begins after its first quote, and after the last one then. A backslash stands before a quote
// or another one; before anything else it is itself, as in the paths that old browsers send.
std::string take_quoted(std::string_view& rest, std::string_view header) {
  std::string value;
  for (size_t i = 0; i < rest.size(); ++i) {
    const bool escaped = rest[i] == '\\' && i + 1 < rest.size() && (rest[i + 1] == '"' || rest[i + 1] == '\\');
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    value += rest[escaped ? ++i : i];
  }
  fail(ErrorKind::kUsage, "a quote in {} is not closed", header);
}

// "; name=value; name=\"value\"" after the header's own value, which stays in `text`.
Parameters take_parameters(std::string_view& text, std::string_view header) {
  Parameters parameters;
  const size_t end = std::min(text.find(';'), text.size());
  std::string_view rest = text.substr(end);
  text = trimmed(text.substr(0, end));
  while (!rest.empty()) {
    SUMI_CHECK_KIND(kUsage, rest.front() == ';', "there is text after a quoted value in {}", header);
    rest = trimmed(rest.substr(1));
    if (rest.empty()) break;
    const size_t equals = rest.find('=');
    SUMI_CHECK_KIND(kUsage, equals != std::string_view::npos && is_token(rest.substr(0, equals)),
                    "{} has a parameter without a name or a value", header);
    std::string name = lower_case(rest.substr(0, equals)), value;
    rest.remove_prefix(equals + 1);
    if (rest.starts_with('"')) {
      rest.remove_prefix(1);
      value = take_quoted(rest, header);
      rest = trimmed(rest);
    } else {
      const size_t stop = std::min(rest.find(';'), rest.size());
      value = trimmed(rest.substr(0, stop));
      rest.remove_prefix(stop);
    }
    const bool twice =
        std::any_of(parameters.begin(), parameters.end(), [&](const auto& known) { return known.first == name; });
    SUMI_CHECK_KIND(kUsage, !twice, "{} has the parameter {} twice", header, name);
    parameters.emplace_back(std::move(name), std::move(value));
  }
  return parameters;
}

const std::string* find(const Parameters& parameters, std::string_view name) {
  for (const auto& [known, value] : parameters)
    if (known == name) return &value;
  return nullptr;
}

std::string boundary_of(std::string_view content_type) {
  SUMI_CHECK_KIND(kUsage, content_type.size() <= kMostPartHeaderBytes, "Content-Type is longer than {} bytes",
                  kMostPartHeaderBytes);
  const Parameters parameters = take_parameters(content_type, "Content-Type");
  SUMI_CHECK_KIND(kUsage, lower_case(content_type) == kFormType, "the body must be {}", kFormType);
  const std::string* boundary = find(parameters, "boundary");
  SUMI_CHECK_KIND(kUsage, boundary != nullptr && !boundary->empty(), "Content-Type must name the form's boundary");
  SUMI_CHECK_KIND(kUsage, boundary->size() <= kMostBoundaryBytes, "the form's boundary is longer than {} characters",
                  kMostBoundaryBytes);
  const bool fine = boundary->back() != ' ' && std::all_of(boundary->begin(), boundary->end(), [](char c) {
                      return is_alphanumeric(c) || std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
                    });
  SUMI_CHECK_KIND(kUsage, fine, "the form's boundary has characters that a boundary may not have");
  return *boundary;
}

std::string_view take_line(std::string_view& rest) {
  const size_t end = rest.substr(0, kMostPartHeaderBytes + kLineEnd.size()).find(kLineEnd);
  SUMI_CHECK_KIND(kUsage, end != std::string_view::npos,
                  "the headers of a part of the form end too early, or one is longer than {} bytes",
                  kMostPartHeaderBytes);
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + kLineEnd.size());
  return line;
}

void read_disposition(std::string_view value, FormPart& part) {
  const Parameters parameters = take_parameters(value, "Content-Disposition");
  SUMI_CHECK_KIND(kUsage, lower_case(value) == "form-data", "a part of the form must be \"form-data\"");
  const std::string* name = find(parameters, "name");
  SUMI_CHECK_KIND(kUsage, name != nullptr && !name->empty(), "a part of the form has no name");
  SUMI_CHECK_KIND(kUsage, name->size() <= kMostFormNameBytes && !find_invalid_utf8(*name),
                  "the name of a part of the form must be UTF-8 of at most {} bytes", kMostFormNameBytes);
  part.name = *name;
  if (const std::string* filename = find(parameters, "filename")) {
    part.filename = *filename;
  } else if (const std::string* encoded = find(parameters, "filename*")) {
    part.filename = *encoded;
  }
}

// Ends after the empty line. The first line is whole: the boundary's.
FormPart take_headers(std::string_view& rest) {
  FormPart part;
  std::vector<std::string> seen;
  for (std::string_view line = take_line(rest); !line.empty(); line = take_line(rest)) {
    SUMI_CHECK_KIND(kUsage, seen.size() < kMostPartHeaders, "a part of the form has more than {} headers",
                    kMostPartHeaders);
    const size_t colon = line.find(':');
    SUMI_CHECK_KIND(kUsage, colon != std::string_view::npos && is_token(line.substr(0, colon)),
                    "a header of a part of the form has no name");
    const std::string name = lower_case(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    SUMI_CHECK_KIND(kUsage, !has_control(value), "a header of a part of the form has a control character");
    SUMI_CHECK_KIND(kUsage, std::find(seen.begin(), seen.end(), name) == seen.end(),
                    "a part of the form has a header twice: {}", excerpt(name));
    seen.push_back(name);
    if (name == "content-disposition") read_disposition(value, part);
    if (name == "content-type") {
      part.type = lower_case(value.substr(0, value.find(';')));
      SUMI_CHECK_KIND(kUsage, !part.type.starts_with("multipart/"), "a form within the form is not read");
    }
    if (name == "content-transfer-encoding") {
      const std::string encoding = lower_case(value);
      SUMI_CHECK_KIND(kUsage, encoding == "binary" || encoding == "8bit" || encoding == "7bit",
                      "a part of the form is encoded ({}); send its bytes as they are", excerpt(value));
    }
  }
  SUMI_CHECK_KIND(kUsage, !part.name.empty(), "a part of the form has no name");
  return part;
}

}  // namespace

bool is_form(std::string_view content_type) {
  return lower_case(trimmed(content_type.substr(0, content_type.find(';')))) == kFormType;
}

std::vector<FormPart> parse_form(std::string_view body, std::string_view content_type) {
  const std::string mark = std::string(kDashes) + boundary_of(content_type), between = std::string(kLineEnd) + mark;
  SUMI_CHECK_KIND(kUsage, body.starts_with(mark), "the form does not begin with its boundary");
  std::string_view rest = body.substr(mark.size());
  std::vector<FormPart> parts;
  while (!rest.starts_with(kDashes)) {
    SUMI_CHECK_KIND(kUsage, rest.starts_with(kLineEnd), "a line of the form begins with its boundary and goes on");
    SUMI_CHECK_KIND(kUsage, parts.size() < kMostFormParts, "the form has more than {} parts", kMostFormParts);
    rest.remove_prefix(kLineEnd.size());
    FormPart part = take_headers(rest);
    // The line end before the boundary may be the one that ended the headers.
    const std::string_view from(rest.data() - kLineEnd.size(), rest.size() + kLineEnd.size());
    const size_t end = from.find(between);
    SUMI_CHECK_KIND(kUsage, end != std::string_view::npos, "the form ends without its last boundary: it is cut short");
    part.body = end < kLineEnd.size() ? std::string_view() : rest.substr(0, end - kLineEnd.size());
    rest = from.substr(end + between.size());
    parts.push_back(std::move(part));
  }
  rest.remove_prefix(kDashes.size());
  SUMI_CHECK_KIND(kUsage, rest.empty() || rest == kLineEnd, "there is text after the form's last boundary");
  return parts;
}

}  // namespace sumi::app
