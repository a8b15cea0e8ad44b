#pragma once

#include <filesystem>
#include <string>

namespace specdiff {

/** A shared library opened at run time; closed with the object. */
class DynamicLibrary {
  public:
    explicit DynamicLibrary(const std::filesystem::path& path);
    ~DynamicLibrary();
    DynamicLibrary(const DynamicLibrary&) = delete;
    DynamicLibrary& operator=(const DynamicLibrary&) = delete;

    bool loaded() const { return handle_ != nullptr; }
    /** The system's reason why it could not be loaded. */
    const std::string& error() const { return error_; }
    /** Address of an exported function; null where there is none. */
    void* symbol(const char* name) const;

  private:
    void* handle_ = nullptr;
    std::string error_;
};

} // namespace specdiff
