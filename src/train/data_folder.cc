#include "train/data_folder.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/check.h"
#include "train/caption_files.h"
#include "train/caption_text.h"
#include "train/data_names.h"
#include "train/metadata_lines.h"

namespace sumi::train {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 50'000'000;

// A folder with all that is in it: first every folder is listed, then the pictures get their captions, because a
// metadata.jsonl may call a folder by the name of a link that leads to it.
class Walk {
 public:
  Walk(const fs::path& root, LeftOut& left_out) : root_(root), left_out_(left_out) {}

  FolderFinds operator()() {
    enter({.path = root_});
    while (!links_.empty()) {  // once every folder that is there under its own name is entered
      const Folder link = links_.front();
      links_.pop_front();
      enter(link);
    }
    name_by_first_paths();
    for (const Folder& folder : folders_) take(folder);
    check_missing();
    return std::move(finds_);
  }

 private:
  struct Folder {
    fs::path path;
    bool governed = false;  // by a metadata.jsonl, of the folder or one above
    std::vector<fs::path> files = {};
  };

  void enter(Folder folder) {
    std::error_code error;
    const fs::path real = fs::canonical(folder.path, error);
    SUMI_CHECK_KIND(kNoInput, !error, "{}: cannot be read: {}", shown(folder.path), error.message());
    const auto [first, is_new] = entered_.emplace(real, folder.path);
    if (!is_new) {
      renamed_.emplace(folder.path, first->second);
      return left_out_.add("folders that links lead to a second time", shown(folder.path));
    }
    const fs::path metadata = folder.path / "metadata.jsonl";
    if (fs::exists(fs::symlink_status(metadata, error))) {
      for (auto& [picture, caption] : read_metadata(folder.path, metadata, left_out_))
        named_.insert_or_assign(picture, std::move(caption));
      folder.governed = true;
    }
    std::vector<fs::path> inner = list(folder);
    const bool governed = folder.governed;
    folders_.push_back(std::move(folder));
    for (fs::path& path : inner) {
      std::error_code ignored;
      if (fs::is_symlink(path, ignored)) {
        links_.push_back({.path = std::move(path), .governed = governed});
      } else {
        enter({.path = std::move(path), .governed = governed});
      }
    }
  }

  // Puts the folder's files into it and returns the folders in it.
  std::vector<fs::path> list(Folder& folder) {
    std::vector<fs::path> inner;
    std::error_code error;
    fs::directory_iterator entries(folder.path, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      SUMI_CHECK(++seen_ <= kMostFiles, "{}: more than {} files", shown(folder.path), kMostFiles);
      const fs::path& path = entries->path();
      std::error_code trouble;
      const auto status = fs::status(path, trouble);
      const bool is_folder = fs::is_directory(status), is_file = fs::is_regular_file(status);
      if (is_hidden(path) && !(is_file && named_.contains(path))) {
        if (is_folder || image::is_picture_name(path) || is_archive_name(path)) left_out_.add(kHidden, shown(path));
        continue;
      }
      if (is_folder) inner.push_back(path);
      // A caption that is no file is refused where a picture needs it.
      if (is_file || is_caption_name(path)) {
        folder.files.push_back(path);
      } else if (!is_folder && image::is_picture_name(path)) {
        left_out_.add("no files" + (trouble ? " (" + trouble.message() + ")" : std::string()), shown(path));
      }
    }
    SUMI_CHECK_KIND(kNoInput, !error, "{}: cannot be read: {}", shown(folder.path), error.message());
    std::sort(folder.files.begin(), folder.files.end());
    std::sort(inner.begin(), inner.end());
    return inner;
  }

  // Entries that go through a link whose folder was entered under another name get that name.
  void name_by_first_paths() {
    if (renamed_.empty()) return;
    Captions more;
    for (auto at = named_.begin(); at != named_.end();) {
      fs::path first = first_path(at->first);
      for (fs::path next = first; !next.empty(); next = first_path(first)) first = next;  // through links in turn
      if (first.empty()) {
        ++at;
        continue;
      }
      more.emplace(first, std::move(at->second));
      at = named_.erase(at);
    }
    named_.merge(more);  // an entry under the first name counts for more
  }

  // Empty where `picture` goes through no such link.
  fs::path first_path(const fs::path& picture) const {
    for (fs::path above = picture.parent_path(); above != root_ && above != above.parent_path();
         above = above.parent_path()) {
      const auto found = renamed_.find(above);
      if (found != renamed_.end()) return found->second / picture.lexically_relative(above);
    }
    return {};
  }

  void take(const Folder& folder) {
    CaptionFiles texts(folder.files);
    for (const fs::path& file : folder.files) {
      const auto named = named_.find(file);
      if (named != named_.end()) {
        used_.insert(file);
        add(file, named->second, texts.of(file));
      } else if (image::is_picture_name(file)) {
        const std::vector<fs::path> captions = texts.of(file);
        if (folder.governed && captions.empty()) {  // a mask or the like that belongs to a picture
          left_out_.add("pictures not named in the metadata.jsonl", shown(file));
        } else {
          add(file, {}, captions);
        }
      } else {
        pass_over(folder, file);
      }
    }
    for (const fs::path& text : texts.unused()) {
      std::error_code ignored;
      if (!named_.contains(text) && !fs::is_directory(text, ignored)) left_out_.add(kNoPicture, shown(text));
    }
  }

  // The caption is `caption` or, where that is empty, the first of `files` that is not.
  void add(const fs::path& picture, std::string caption, const std::vector<fs::path>& files) {
    for (const fs::path& file : files) {
      if (caption.empty()) {
        caption = read_caption(file);
      } else {
        left_out_.add(kSecondCaption, shown(file));
      }
    }
    finds_.examples.push_back({.picture = {.path = picture}, .name = picture.string(), .caption = std::move(caption)});
  }

  void pass_over(const Folder& folder, const fs::path& file) {
    if (is_other_picture(file)) left_out_.add(kOtherPicture, shown(file));
    if (is_archive_name(file)) (folder.path == root_ ? finds_.archives : finds_.inner_archives).push_back(file);
    if (in_lower_case(file.filename().string()) == "metadata.csv")
      left_out_.add("metadata.csv, which is not read (metadata.jsonl is)", shown(file));
  }

  // Throws where more than a quarter of what is named is not there: then more is wrong than a file. A single one is
  // told.
  void check_missing() {
    int64_t missing = 0;
    fs::path first;
    for (const auto& [picture, caption] : named_) {
      if (used_.contains(picture)) continue;
      std::error_code ignored;
      const bool exists = fs::exists(picture, ignored);
      left_out_.add(exists ? "named in a metadata.jsonl, but no file or in a hidden folder"
                           : "named in a metadata.jsonl and missing",
                    shown(picture));
      if (!exists && missing++ == 0) first = picture;
    }
    const bool only_archives = finds_.examples.empty() && !finds_.archives.empty();
    SUMI_CHECK(missing < 2 || only_archives || 4 * missing <= static_cast<int64_t>(named_.size()),
               "{}: {} of the {} pictures that metadata.jsonl names are missing, more than a quarter; the first is {}",
               shown(root_), missing, named_.size(), shown(first));
  }

  const fs::path& root_;
  LeftOut& left_out_;
  FolderFinds finds_;
  std::vector<Folder> folders_;
  std::deque<Folder> links_;
  std::map<fs::path, fs::path> entered_;  // a folder's canonical path → that under which it was entered
  std::map<fs::path, fs::path> renamed_;  // a path that was passed over for it → the same
  Captions named_;                        // in metadata.jsonl
  std::set<fs::path> used_;
  size_t seen_ = 0;
};

}  // namespace

FolderFinds in_folder(const fs::path& folder, LeftOut& left_out) { return Walk(folder, left_out)(); }

}  // namespace sumi::train
