#include "backend.h"

#include "dynamic_library.h"
#include "error.h"
#include "log.h"
#include "utf8.h"

#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

namespace specdiff {

namespace fs = std::filesystem;

namespace {

#if defined(_WIN32)
constexpr const char* LIBRARY_PREFIX = "ggml-";
constexpr const char* LIBRARY_SUFFIX = ".dll";
#else
constexpr const char* LIBRARY_PREFIX = "libggml-";
constexpr const char* LIBRARY_SUFFIX = ".so"; // ggml names its loadable backends .so on macOS too
#endif

struct GpuBackend {
    BackendChoice choice;
    const char* file;  // part of the library's file name, and what options call it
    const char* label; // for people
    bool here;         // exists on this system
};

#ifdef __APPLE__
constexpr bool APPLE = true;
#else
constexpr bool APPLE = false;
#endif

constexpr std::array<GpuBackend, 3> GPU_BACKENDS = {{
    {BackendChoice::cuda, "cuda", "CUDA", !APPLE},
    {BackendChoice::metal, "metal", "Metal", APPLE},
    {BackendChoice::vulkan, "vulkan", "Vulkan", !APPLE},
}};

std::string library_file(const std::string& part) {
    return LIBRARY_PREFIX + part + LIBRARY_SUFFIX;
}

bool is_cpu_library(const std::string& file) {
    const std::string stem = std::string(LIBRARY_PREFIX) + "cpu";
    const std::string suffix = LIBRARY_SUFFIX;
    return file.size() > suffix.size() && file.compare(0, stem.size(), stem) == 0 &&
           file.compare(file.size() - suffix.size(), suffix.size(), suffix) == 0;
}

/** "zen4" of libggml-cpu-zen4.so; empty for libggml-cpu.so. */
std::string cpu_variant(const std::string& file) {
    const std::string stem = std::string(LIBRARY_PREFIX) + "cpu-";
    if (file.compare(0, stem.size(), stem) != 0) return {};
    return file.substr(stem.size(), file.size() - stem.size() - std::string(LIBRARY_SUFFIX).size());
}

int score_of(const DynamicLibrary& library) {
    using ScoreFunction = int (*)();
    auto* function = reinterpret_cast<ScoreFunction>(library.symbol("ggml_backend_score"));
    return function != nullptr ? function() : 1; // a library without a score is the only one of its platform
}

/** What the kernels of a rebuilt library (native/kernels) are called for people. */
std::string kernel_label(const std::string& name) {
    constexpr std::array<std::pair<const char*, const char*>, 6> LABELS = {{{"avx2", "AVX2"},
                                                                            {"avxvnni", "AVX-VNNI"},
                                                                            {"avx512vnni", "AVX-512 VNNI"},
                                                                            {"amx", "AMX"},
                                                                            {"neon-dotprod", "NEON dot products"},
                                                                            {"neon-i8mm", "NEON matrix products"}}};
    for (const auto& [known, label] : LABELS) {
        if (name == known) return label;
    }
    return name;
}

/** "specdiff haswell, AVX2", "llama.cpp haswell": the library and whose kernels compute. */
std::string cpu_label(const DynamicLibrary& library, const fs::path& path) {
    const std::string variant = cpu_variant(utf8(path.filename()));
    const std::string ours = "specdiff-";
    using KernelsFunction = const char* (*)();
    auto* function = reinterpret_cast<KernelsFunction>(library.symbol("specdiff_kernels"));
    if (function == nullptr || variant.compare(0, ours.size(), ours) != 0) {
        return variant.empty() ? "llama.cpp" : "llama.cpp " + variant;
    }
    const char* name = function();
    return "specdiff " + variant.substr(ours.size()) + ", " + (name == nullptr ? "no kernels" : kernel_label(name));
}

std::atomic<int> invariant_rows_of_library = std::numeric_limits<int>::max();
using PrepareFunction = void (*)(ggml_cgraph*);
std::atomic<PrepareFunction> prepare_of_library = nullptr;

/** What llama.cpp's own libraries don't have. */
void note_functions(const DynamicLibrary& library) {
    prepare_of_library = reinterpret_cast<PrepareFunction>(library.symbol("specdiff_prepare_graph"));
    using RowsFunction = int (*)();
    auto* function = reinterpret_cast<RowsFunction>(library.symbol("specdiff_invariant_rows"));
    const int rows = function != nullptr ? function() : 0;
    if (rows > 0) invariant_rows_of_library = rows;
}

/** Loads the CPU library and returns its label. */
std::string load_cpu(const BackendOptions& options) {
    std::string file = options.cpu_library;
    if (file.empty()) {
        const auto libraries = list_cpu_libraries(options.native_directory);
        if (libraries.empty() || libraries.front().score == 0) {
            throw Error("No CPU backend library in " + utf8(options.native_directory) +
                        " runs on this machine: reinstall the extension for this platform.");
        }
        file = libraries.front().file;
    }
    const fs::path path = options.native_directory / file;
    const LogCapture captured;
    if (ggml_backend_load(path.string().c_str()) == nullptr) {
        throw Error("The CPU backend library " + utf8(path) + " could not be loaded (" + captured.reason() +
                    "): reinstall the extension or choose another library.");
    }
    const DynamicLibrary library(path);
    note_functions(library);
    return cpu_label(library, path);
}

/** Loads one GPU backend; the reason where that is not possible. */
std::optional<std::string> load_gpu(const GpuBackend& backend, const BackendOptions& options) {
    std::vector<fs::path> folders = {options.native_directory};
    folders.insert(folders.end(), options.backend_directories.begin(), options.backend_directories.end());
    std::string reason;
    for (const auto& folder : folders) {
        const fs::path path = folder / library_file(backend.file);
        std::error_code ignored;
        if (!fs::exists(path, ignored)) continue;
        const DynamicLibrary library(path);
        if (!library.loaded()) {
            reason =
                "could not be loaded (" + library.error() + "); install its driver and runtime libraries to use it";
            continue;
        }
        const LogCapture captured;
        auto* registry = ggml_backend_load(path.string().c_str());
        if (registry == nullptr) {
            reason = "could not be started: " + captured.reason();
            continue;
        }
        if (ggml_backend_reg_dev_count(registry) == 0) {
            ggml_backend_unload(registry);
            reason = "found no device or driver";
            continue;
        }
        return std::nullopt;
    }
    if (reason.empty()) {
        reason =
            library_file(backend.file) + " is not in the folders searched; name its folder in the settings to use it";
    }
    return reason;
}

DeviceKind kind_of(ggml_backend_dev_t device) {
    switch (ggml_backend_dev_type(device)) {
    case GGML_BACKEND_DEVICE_TYPE_CPU:
        return DeviceKind::cpu;
    case GGML_BACKEND_DEVICE_TYPE_GPU:
        return DeviceKind::gpu;
    case GGML_BACKEND_DEVICE_TYPE_IGPU:
        return DeviceKind::integrated;
    default:
        return DeviceKind::other;
    }
}

BackendReport load_all(const BackendOptions& options) {
    BackendReport report;
    std::string gpu_label;
    const bool wants_gpu = options.choice != BackendChoice::cpu;
    for (const auto& backend : GPU_BACKENDS) {
        const bool chosen = options.choice == backend.choice;
        if (!backend.here && !chosen) continue;
        if (!wants_gpu || (!chosen && options.choice != BackendChoice::automatic)) {
            report.notes.push_back(std::string(backend.label) + ": not used, the backend setting says otherwise");
        } else if (!gpu_label.empty()) {
            report.notes.push_back(std::string(backend.label) + ": not used, " + gpu_label + " was loaded first");
        } else if (const auto reason = load_gpu(backend, options)) {
            report.notes.push_back(std::string(backend.label) + ": " + *reason +
                                   (chosen ? " (chosen in the settings; computing on the CPU instead)" : ""));
        } else {
            gpu_label = backend.label;
        }
    }

    const std::string cpu = load_cpu(options);
    llama_backend_init();

    std::string gpu_device;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        auto* const device = ggml_backend_dev_get(i);
        size_t free = 0;
        size_t total = 0;
        ggml_backend_dev_memory(device, &free, &total);
        report.devices.push_back(
            {ggml_backend_dev_name(device), ggml_backend_dev_description(device), kind_of(device), total});
        if (gpu_device.empty() && report.devices.back().kind != DeviceKind::cpu) {
            gpu_device = report.devices.back().description;
        }
    }
    if (gpu_label.empty()) {
        report.name = "CPU (" + cpu + ")";
    } else {
        report.name = gpu_label + " (" + gpu_device + ")";
    }
    for (const auto& note : report.notes)
        log(LogLevel::info, "backend " + note);
    log(LogLevel::info,
        "backend in use: " + report.name + (gpu_label.empty() ? "" : ", beside it the CPU (" + cpu + ")"));
    return report;
}

} // namespace

std::optional<BackendChoice> backend_choice(const std::string& name) {
    if (name == "auto") return BackendChoice::automatic;
    if (name == "cpu") return BackendChoice::cpu;
    for (const auto& backend : GPU_BACKENDS) {
        if (name == backend.file) return backend.choice;
    }
    return std::nullopt;
}

std::vector<CpuLibrary> list_cpu_libraries(const fs::path& directory) {
    std::vector<CpuLibrary> found;
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
        const std::string file = utf8(entry->path().filename());
        if (!is_cpu_library(file)) continue;
        const DynamicLibrary library(entry->path());
        if (!library.loaded()) {
            log(LogLevel::warning, file + " could not be loaded: " + library.error());
            continue;
        }
        found.push_back({file, score_of(library)});
    }
    if (error) {
        throw Error("The folder with the native libraries, " + utf8(directory) + ", can't be read (" + error.message() +
                    "): build or reinstall the extension.");
    }
    std::sort(found.begin(), found.end(), [](const CpuLibrary& a, const CpuLibrary& b) {
        return a.score != b.score ? a.score > b.score : a.file < b.file;
    });
    return found;
}

BackendReport initialize_backends(const BackendOptions& options) {
    static std::mutex mutex;
    static std::optional<BackendReport> report;
    const std::lock_guard<std::mutex> lock(mutex);
    if (!report) report = load_all(options);
    return *report;
}

int invariant_rows() {
    return gpu_computes() ? std::numeric_limits<int>::max() : invariant_rows_of_library.load();
}

void prepare_cpu_graph(ggml_cgraph* graph) {
    const auto prepare = prepare_of_library.load();
    if (prepare != nullptr) prepare(graph);
}

bool gpu_computes() {
    return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU) != nullptr ||
           ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_IGPU) != nullptr;
}

} // namespace specdiff
