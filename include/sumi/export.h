// Which symbols a shared libsumi shows.
#pragma once

#if defined(__GNUC__)
#define SUMI_API __attribute__((visibility("default")))
#else
#define SUMI_API
#endif
