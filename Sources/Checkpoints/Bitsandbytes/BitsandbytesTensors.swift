import Foundation
public import TensorCore

/// A checkpoint in which bitsandbytes has packed some weights: beside each stand the tensors that unpack it.
///
/// A packed `NAME.weight` (U8) comes with `NAME.weight.absmax`, `.quant_map`, `.quant_state.bitsandbytes__nf4` (or
/// `__fp4`) and, with double quantisation, `.nested_absmax` and `.nested_quant_map`. Here it is one tensor again.
public struct BitsandbytesTensors: TensorSource {
    private let files: ShardedSafetensors
    /// All names, sorted; without those of the parts.
    public let names: [String]
    /// Packed name → name of its state.
    private let states: [String: String]

    private static let stateMark = ".quant_state.bitsandbytes__"

    /// Looks through the names of a checkpoint.
    public init(_ files: ShardedSafetensors) {
        self.files = files
        var states: [String: String] = [:]
        for name in files.names {
            if let mark = name.range(of: Self.stateMark) { states[String(name[..<mark.lowerBound])] = name }
        }
        self.states = states
        names = files.names.filter { name in
            guard let packed = Self.owner(of: name) else { return true }
            return states[packed] == nil
        }
    }

    /// Whether a checkpoint has tensors that are packed so.
    public static func isPacked(_ files: ShardedSafetensors) -> Bool {
        files.names.contains { $0.contains(stateMark) || $0.hasSuffix(".weight.absmax") || $0.hasSuffix(".SCB") }
    }

    /// Names of the packed tensors.
    public var packedNames: Set<String> { Set(states.keys) }

    /// The tensor that `name` is a part of, if it is named like a part.
    private static func owner(of name: String) -> String? {
        for part in [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"] where name.hasSuffix(part) {
            return String(name.dropLast(part.count))
        }
        return name.range(of: stateMark).map { String(name[..<$0.lowerBound]) }
    }

    /// Whether there is a tensor called `name`.
    public func contains(_ name: String) -> Bool { files.contains(name) && Self.owner(of: name) == nil }

    /// The tensor called `name`: in 4 bits if it is packed, else as it lies in its file.
    public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
        guard let state = states[name] else {
            if try files.entry(name).type != .uint8 && !files.contains(name.dropLast(".weight".count) + ".SCB") {
                return try files.tensor(name)
            }
            let isEightBit = files.contains(name.dropLast(".weight".count) + ".SCB")
            throw .bitsandbytes(
                path: files.folder.path, tensor: name,
                isEightBit ? .eightBit : .missing(part: name + Self.stateMark + "nf4"))
        }
        do {
            let (shape, matrix) = try unpack(name, QuantState.read(try entry(state, .uint8)))
            return try StoredTensor(name: name, shape: shape, fourBit: matrix)
        } catch let problem as BitsandbytesProblem {
            throw .bitsandbytes(path: files.folder.path, tensor: name, problem)
        } catch let problem as FourBitProblem {
            throw .bitsandbytes(path: files.folder.path, tensor: name, .matrix(problem))
        } catch let problem as StoredTensorError {
            throw .tensor(path: files.folder.path, problem)
        } catch {
            throw .noTensor(path: files.folder.path, name: name)
        }
    }

    private func unpack(_ name: String, _ state: QuantState) throws -> (shape: [Int], FourBitMatrix) {
        guard ["nf4", "fp4"].contains(state.quantType) else {
            throw BitsandbytesProblem.state("its quant_type is \(state.quantType), expected nf4 or fp4")
        }
        var count = 1
        for size in state.shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size > 0, !overflow else { throw BitsandbytesProblem.state("its shape is \(state.shape)") }
            count = product
        }
        // Whatever type the bytes are stored as, they are bytes.
        let matrix = try FourBitMatrix(
            count: count, codes: try entry(name, nil).bytes, table: try floats(name + ".quant_map"),
            blockSize: state.blockSize, scales: try scales(name, state))
        return (state.shape, matrix)
    }

    private func scales(_ name: String, _ state: QuantState) throws -> FourBitMatrix.Scales {
        guard let offset = state.nestedOffset else { return .single(try entry(name + ".absmax", .float32).bytes) }
        guard let size = state.nestedBlockSize else { throw BitsandbytesProblem.state("its quant_state has no nested_blocksize") }
        return .double(
            codes: try entry(name + ".absmax", .uint8).bytes, table: try floats(name + ".nested_quant_map"),
            groups: try floats(name + ".nested_absmax"), groupSize: size, offset: Float(offset))
    }

    private func floats(_ part: String) throws -> [Float] {
        try entry(part, .float32).bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        }
    }

    private func entry(_ part: String, _ type: SafetensorsType?) throws -> SafetensorsEntry {
        guard files.contains(part) else { throw BitsandbytesProblem.missing(part: part) }
        let entry = try files.entry(part)
        if let type, entry.type != type {
            throw BitsandbytesProblem.type(part: part, found: entry.type.rawValue, expected: type.rawValue)
        }
        return entry
    }
}
