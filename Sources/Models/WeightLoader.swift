import Checkpoints
import Layers
import TensorCore

/// Takes tensors out of a checkpoint, checks their shapes on the way and knows in the end which were not taken.
final class WeightLoader {
    let tensors: any TensorSource
    let place: String
    let compute: Compute
    private var unused: Set<String>

    /// What checkpoints carry along though it follows from the configuration.
    private static let harmlessEndings = [".rotary_emb.inv_freq"]

    init(tensors: any TensorSource, place: String, compute: Compute) {
        (self.tensors, self.place, self.compute) = (tensors, place, compute)
        unused = Set(tensors.names.filter { name in !Self.harmlessEndings.contains { name.hasSuffix($0) } })
    }

    /// A matrix that stays as it lies in the file.
    func matrix(_ name: String, rows: Int, columns: Int) throws(ModelError) -> Weight {
        .stored(try tensor(name, [rows, columns]))
    }

    /// A vector as float32.
    func vector(_ name: String, count: Int) throws(ModelError) -> Tensor {
        compute.tensor(try tensor(name, [count]).expandAll(), shape: [count])
    }

    /// A norm; `offset` is added to its weight. The name may lack `.weight`.
    func norm(_ name: String, count: Int, epsilon: Float, offset: Float) throws(ModelError) -> RMSNorm {
        let weight = try tensor(name.hasSuffix(".weight") ? name : name + ".weight", [count]).expandAll()
        return RMSNorm(weight: compute.tensor(weight.map { $0 + offset }, shape: [count]), epsilon: epsilon)
    }

    /// A linear layer `[outputs, inputs]`, with its bias if it has one.
    func linear(_ name: String, _ role: ModuleRole, outputs: Int, inputs: Int, bias: Bool) throws(ModelError) -> Linear
    {
        Linear(
            name: name, role: role, weight: try matrix(name + ".weight", rows: outputs, columns: inputs),
            bias: bias ? try vector(name + ".bias", count: outputs) : nil)
    }

    /// A tensor of any rank in the shape that the network needs.
    func tensor(_ name: String, _ shape: [Int]) throws(ModelError) -> StoredTensor {
        let tensor: StoredTensor
        do { tensor = try tensors.tensor(name) } catch { throw .checkpoint(error) }
        guard tensor.shape == shape else {
            throw .shape(place: place, tensor: name, found: tensor.shape, expected: shape)
        }
        unused.remove(name)
        return tensor
    }

    /// Whether a tensor has the same bytes as a matrix that was taken before.
    func isCopy(_ name: String, of matrix: Weight) throws(ModelError) -> Bool {
        guard case .stored(let first) = matrix, case .rows(let format, let bytes, _) = first.contents,
            case .rows(format, let others, _) = try tensor(name, first.shape).contents
        else { return false }
        return bytes.areSame(as: others)
    }

    /// A tensor that the network does without on purpose.
    func ignore(_ name: String) { unused.remove(name) }

    /// The same for all tensors under a prefix, for example those of an image encoder.
    func ignore(prefix: String) { unused = unused.filter { !$0.hasPrefix(prefix) } }

    /// Refuses a checkpoint of which something has not been taken.
    /// - Parameter layers: number of layers of the network.
    func refuseUnused(layers: Int) throws(ModelError) {
        guard !unused.isEmpty else { return }
        throw .unusedTensors(place: place, names: unused.sorted(), layers: layers)
    }
}
