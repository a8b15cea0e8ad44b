#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

struct ggml_cgraph;

namespace specdiff {

struct CpuLibrary {
    std::string file;
    /** llama.cpp's own score for this machine; 0 means that it can't run here. */
    int score = 0;
};

enum class BackendChoice { automatic, cpu, cuda, vulkan, metal };

/** "auto", "cpu", "cuda", "vulkan" or "metal"; nullopt for anything else. */
std::optional<BackendChoice> backend_choice(const std::string& name);

struct BackendOptions {
    std::filesystem::path native_directory;
    /** Further folders where GPU backend libraries may lie. */
    std::vector<std::filesystem::path> backend_directories;
    /** File name of the CPU library; empty takes the one with the best score. */
    std::string cpu_library;
    BackendChoice choice = BackendChoice::automatic;
};

enum class DeviceKind { cpu, gpu, integrated, other };

struct Device {
    std::string name;
    std::string description;
    DeviceKind kind = DeviceKind::other;
    uint64_t memory_bytes = 0;
};

struct BackendReport {
    /** "CPU (specdiff haswell, AVX2)", "CPU (llama.cpp haswell)", "CUDA (NVIDIA H200)". */
    std::string name;
    std::vector<Device> devices;
    /** One line for each backend not used, with its reason. */
    std::vector<std::string> notes;
};

/** CPU backend libraries in `directory`, best first. Loads each only to ask for its score. */
std::vector<CpuLibrary> list_cpu_libraries(const std::filesystem::path& directory);

/**
 * Loads the CPU backend, and a GPU backend where the choice allows one and its library, driver and device are there.
 * Backends can't be unloaded safely, so a second call returns the first report.
 * @throws Error where no CPU backend can be loaded.
 */
BackendReport initialize_backends(const BackendOptions& options);

/**
 * Rows of a pass up to which a row's bits are those it has alone, on a CPU with kernels of ours; larger passes are
 * computed by kernels for prompts, whose rounding is another (docs/kernels.md). The greatest number where there are no
 * such kernels or a GPU computes.
 */
int invariant_rows();

/**
 * What the CPU backend does by itself to a graph that llama.cpp's scheduler brings it, before the graph's tensors have
 * memory: with kernels of ours, nodes that are computed together come together.
 */
void prepare_cpu_graph(ggml_cgraph* graph);

/** Whether a GPU's backend is loaded, which then computes all of the models' layers. */
bool gpu_computes();

} // namespace specdiff
