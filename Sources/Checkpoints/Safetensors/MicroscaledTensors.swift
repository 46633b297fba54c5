import Foundation
public import TensorCore

/// A checkpoint with parameters in MXFP4, as gpt-oss is published: `NAME_blocks` and `NAME_scales` (both U8) take the
/// place of `NAME`.
///
/// Blocks are `[experts, outputs, inputs / 32, 16]`, scales `[experts, outputs, inputs / 32]`. Here they are one tensor
/// `[experts, inputs, outputs]` again, as transformers has it, that lies transposed.
public struct MicroscaledTensors: TensorSource {
    private let files: ShardedSafetensors
    /// All names, sorted; without those of the parts.
    public let names: [String]
    /// Names of the packed parameters.
    public let packedNames: Set<String>

    private static let (blocks, scales) = ("_blocks", "_scales")

    /// Looks through the names of a checkpoint.
    public init(_ files: ShardedSafetensors) {
        self.files = files
        let packed = Set(Self.packedNames(files))
        packedNames = packed
        names = (files.names.filter { !packed.contains(Self.owner(of: $0)) } + packed).sorted()
    }

    /// Whether a checkpoint has parameters that are packed so.
    public static func isPacked(_ files: ShardedSafetensors) -> Bool { !packedNames(files).isEmpty }

    private static func packedNames(_ files: ShardedSafetensors) -> [String] {
        files.names.filter { $0.hasSuffix(blocks) }.map { String($0.dropLast(blocks.count)) }
    }

    private static func owner(of name: String) -> String {
        for ending in [blocks, scales] where name.hasSuffix(ending) { return String(name.dropLast(ending.count)) }
        return name
    }

    /// Whether there is a tensor called `name`.
    public func contains(_ name: String) -> Bool {
        packedNames.contains(name) || (files.contains(name) && !packedNames.contains(Self.owner(of: name)))
    }

    /// The tensor called `name`: put together from its parts if it is packed, else as it lies in its file.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        guard packedNames.contains(name) else { return try files.tensor(name) }
        let (codes, scales) = (try files.entry(name + Self.blocks), try files.entry(name + Self.scales))
        for part in [codes, scales] where part.type != .uint8 {
            throw .unsupportedType(path: files.folder.path, tensor: part.name, type: part.type.rawValue)
        }
        let shape = codes.shape
        guard shape.count == 4, shape[3] == MicroscaledMatrix.blockSize / 2, scales.shape == Array(shape.dropLast()),
            shape.allSatisfy({ $0 > 0 && $0 <= 1 << 26 })
        else {
            throw .microscaled(
                path: files.folder.path, tensor: name, blocks: codes.shape, scales: scales.shape)
        }
        let (experts, outputs, inputs) = (shape[0], shape[1], shape[2] * MicroscaledMatrix.blockSize)
        do {
            let part = try StoredTensor(
                name: codes.name, shape: [experts, outputs, inputs],
                microscaled: MicroscaledMatrix(codes: codes.bytes, scales: scales.bytes))
            return try StoredTensor(
                name: name, shape: [experts, inputs, outputs],
                assembly: StoredAssembly(name: name, groups: experts, [(part, isTransposed: true)], .sideBySide))
        } catch {
            throw .tensor(path: files.folder.path, error)
        }
    }
}
