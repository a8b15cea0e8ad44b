#pragma once

#include <filesystem>
#include <string>

namespace specdiff {

/** A path in UTF-8, as llama.cpp and messages have it; path::string() is in Windows' own code page. */
inline std::string utf8(const std::filesystem::path& path) {
    return path.u8string();
}

} // namespace specdiff
