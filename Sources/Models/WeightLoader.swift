import Checkpoints
import Layers
import TensorCore

/// Takes tensors out of a checkpoint and checks their shapes on the way.
struct WeightLoader {
    let tensors: any TensorSource
    let place: String
    let compute: Compute

    /// A matrix that stays as it lies in the file.
    func matrix(_ name: String, rows: Int, columns: Int) throws(ModelError) -> Weight {
        .stored(try tensor(name, [rows, columns]))
    }

    /// A vector as float32.
    func vector(_ name: String, count: Int) throws(ModelError) -> Tensor {
        compute.tensor(try tensor(name, [count]).expandAll(), shape: [count])
    }

    /// A linear layer `[outputs, inputs]`, with its bias if it has one.
    func linear(_ name: String, _ role: ModuleRole, outputs: Int, inputs: Int, bias: Bool) throws(ModelError) -> Linear {
        Linear(
            name: name, role: role, weight: try matrix(name + ".weight", rows: outputs, columns: inputs),
            bias: bias ? try vector(name + ".bias", count: outputs) : nil)
    }

    private func tensor(_ name: String, _ shape: [Int]) throws(ModelError) -> StoredTensor {
        let tensor: StoredTensor
        do { tensor = try tensors.tensor(name) } catch { throw .checkpoint(error) }
        guard tensor.shape == shape else {
            throw .shape(place: place, tensor: name, found: tensor.shape, expected: shape)
        }
        return tensor
    }
}
