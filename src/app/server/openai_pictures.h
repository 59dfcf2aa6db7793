// The pictures of an edit by OpenAI's API.
#pragma once

#include <vector>

#include "app/server/multipart.h"
#include "app/server/openai_request.h"

namespace sumi::app {

// Puts the files `image` and `mask` of a form into the request: as `init`, and as `mask` where something is to be drawn
// anew. Decodes them only where the first bytes leave open what is asked of them. Where the request has no size and
// the image more than 1024x1024 pixels, gives it one of about as many, in the image's proportions, and a note. Throws
// BadField.
void read_edit_pictures(const std::vector<FormPart>& form, OpenaiRequest& out);

}  // namespace sumi::app
