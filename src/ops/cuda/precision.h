// What libtorch's products may round on a GPU.
#pragma once

namespace ingrain::ops::cuda {

/// For the whole process: fp32 is multiplied as fp32, never as TF32, also where the environment allows that; bf16
/// products are summed in fp32 to the end, also where a sum is split over blocks.
void ask_for_full_precision();

}  // namespace ingrain::ops::cuda
