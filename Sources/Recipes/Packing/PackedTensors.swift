public import Checkpoints
import Layers
public import Models
public import TensorCore

/// The tensors of a base model as they are when it is packed, each packed at the moment it is asked for.
///
/// Linear layers become NF4. Other matrices (embedding, head) become bfloat16 unless they are 16 bits wide already or
/// the packing says that they are packed too. Vectors stay as they are.
public struct PackedTensors: TensorSource {
    private let base: any TensorSource
    private let packing: Packing
    private let packed: Set<String>
    private let compute: Compute
    private let place: String

    /// Packs the tensors of `base` that are weights of `network`'s linear layers.
    public init(_ base: BaseModel, network: any CausalLanguageModel, packing: Packing, on compute: Compute) {
        self.base = base.tensors
        (self.packing, self.compute, place) = (packing, compute, base.path)
        packed = network.packableTensors
    }

    /// All names, sorted.
    public var names: [String] { base.names }

    /// Whether there is a tensor called `name`.
    public func contains(_ name: String) -> Bool { base.contains(name) }

    /// What becomes of a tensor.
    public enum Form: Sendable {
        /// Packed; `type` names what it was: `bfloat16`, `float16` or `float32`.
        case fourBit(type: String)
        /// Written with this element type.
        case plain(SafetensorsType)
    }

    /// What becomes of a tensor.
    func form(of tensor: StoredTensor) throws(CheckpointError) -> Form {
        guard let format = Self.format(of: tensor) else {
            throw .bitsandbytes(path: place, tensor: tensor.name, .state("it is to be packed; give the model that it was made from"))
        }
        let type: (name: String, SafetensorsType) =
            switch format {
            case .float32: ("float32", .float32)
            case .float16: ("float16", .float16)
            default: ("bfloat16", .bfloat16)
            }
        guard tensor.shape.count > 1 else { return .plain(format == .float32 ? .float32 : type.1) }
        if packed.contains(tensor.name) || packing.embeddings { return .fourBit(type: type.name) }
        return .plain(format == .float16 ? .float16 : .bfloat16)
    }

    /// What a tensor's numbers are, those of one that is put together included; nil if it is packed already.
    private static func format(of tensor: StoredTensor) -> StoredFormat? {
        guard case .assembled(let assembly) = tensor.contents else { return tensor.format }
        return assembly.parts.allSatisfy { $0.tensor.format != nil } ? tensor.format ?? .bfloat16 : nil
    }

    /// The tensor called `name`, packed if it is to be.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        let tensor = try base.tensor(name)
        switch try form(of: tensor) {
        case .fourBit: return try pack(tensor)
        case .plain(.bfloat16) where tensor.format != .bfloat16:
            defer { tensor.release() }
            do { return try tensor.asBfloat16(on: compute) } catch { throw .tensor(path: place, error) }
        case .plain: return tensor
        }
    }

    /// A tensor in NF4. The pages of its file may leave memory afterwards.
    private func pack(_ tensor: StoredTensor) throws(CheckpointError) -> StoredTensor {
        defer { tensor.release() }
        do {
            let matrix = try FourBitQuantizer.quantize(tensor, doubleQuantization: packing.doubleQuantization, on: compute)
            return try StoredTensor(name: tensor.name, shape: tensor.shape, fourBit: matrix)
        } catch let problem as FourBitProblem {
            throw .bitsandbytes(path: place, tensor: tensor.name, .unpackable(problem))
        } catch let problem as StoredTensorError {
            throw .tensor(path: place, problem)
        } catch {
            throw .noTensor(path: place, name: tensor.name)
        }
    }
}
