from thresher.data.draws import uniform
import torch, math
from torch import Tensor
def normal(seed: int, rows: Tensor, stream: int) -> Tensor:
    """One standard normal number per row, float32 (Box and Muller), as `uniform`."""
    radius = torch.sqrt(-2 * torch.log1p(-uniform(seed, rows, 2 * stream)))
    return radius * torch.cos(2 * math.pi * uniform(seed, rows, 2 * stream + 1))
