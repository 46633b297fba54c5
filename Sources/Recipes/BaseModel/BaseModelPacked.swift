import Checkpoints
import Models
public import TensorCore

extension BaseModel {
    /// Opens a model in the form that is asked for.
    /// - Parameters:
    ///   - packing: how it is packed into 4 bits; `nil` uses the weights as they lie.
    ///   - cache: where the packed copy is kept.
    ///   - note: receives sentences about what takes time or went wrong without harm.
    public static func open(
        _ path: String, packing: Packing?, cache: PackedCache = PackedCache(), on compute: Compute,
        note: (String) -> Void = { _ in }
    ) throws -> BaseModel {
        guard let packing else { return try open(path) }
        return try cache.open(path, packing: packing, on: compute, note: note)
    }

    /// Whether some weights are in bitsandbytes' 4 bits already.
    public var isPacked: Bool { tensors is BitsandbytesTensors || packing != nil }

    /// Opens a packed copy of the model at `source`, under whose name it goes.
    static func openPacked(_ folder: String, source: String, packing: Packing, digest: String) throws -> BaseModel {
        var model = try openFolder(folder)
        (model.path, model.packing, model.packedDigest) = (source, packing, digest)
        return model
    }

    /// The same model with its weights packed when they are asked for.
    func packedInMemory(_ packing: Packing, digest: String, on compute: Compute) throws -> BaseModel {
        var model = self
        let network = try makeModel(on: compute)
        model.tensors = PackedTensors(self, network: network, packing: packing, on: compute)
        (model.packing, model.packedDigest) = (packing, digest)
        return model
    }
}
