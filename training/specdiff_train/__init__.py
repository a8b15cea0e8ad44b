"""Training pipeline of SpecDiff's block-diffusion drafter: corpus, answers, train, evaluate, export."""

import os

# On some virtual machines AMX is announced and traps; oneDNN must not use it. Set before torch is imported.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
# Spinning OpenMP workers would take the cores from whatever else runs on a desktop machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
