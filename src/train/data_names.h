// What the name of a file of training data says about it.
#pragma once

#include <filesystem>
#include <string>

#include "train/left_out.h"

namespace sumi::train {

// A name of a file for messages: without control characters, cut.
std::string shown(const std::filesystem::path& path);

std::string in_lower_case(std::string text);

// Hidden, or made by a system for itself (@eaDir, __MACOSX, Thumbs.db): by the last part of the path.
bool is_hidden(const std::filesystem::path& path);

// .txt or .caption, in any case.
bool is_caption_name(const std::filesystem::path& path);

// .tar, in any case.
bool is_archive_name(const std::filesystem::path& path);

// A picture that other programs read and this build does not.
bool is_other_picture(const std::filesystem::path& path);

// Reasons that folders and archives share.
inline constexpr const char* kHidden = "hidden files and folders";
inline constexpr const char* kOtherPicture = "pictures of kinds that are not read";
inline constexpr const char* kNoPicture = "captions without a picture";
inline constexpr const char* kSecondCaption = "captions of pictures that have another";

}  // namespace sumi::train
