// The picture type of the public interface, under its name here.
#pragma once

#include "sumi/image.h"

namespace sumi::image {

using sumi::Image;

}  // namespace sumi::image
