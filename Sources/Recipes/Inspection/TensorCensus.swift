import Checkpoints
import TensorCore
import Tokenization

/// How many tensors of which type there are, and how large they are together.
struct TensorCensus {
    private var types: [String: (tensors: Int, parameters: Int, bytes: Int)] = [:]
    private(set) var parameters = 0

    mutating func add(type: String, parameters: Int, bytes: Int) {
        let old = types[type] ?? (0, 0, 0)
        types[type] = (
            old.tensors + 1, Self.sum(old.parameters, parameters), Self.sum(old.bytes, bytes)
        )
        self.parameters = Self.sum(self.parameters, parameters)
    }

    /// Shapes of tensors whose type is unknown are bounded by nothing: a sum that is too large is the largest number.
    private static func sum(_ first: Int, _ second: Int) -> Int {
        let (sum, overflows) = first.addingReportingOverflow(second)
        return overflows ? .max : sum
    }

    init(_ file: SafetensorsFile) throws {
        for name in file.names {
            let entry = try file.entry(name)
            add(type: entry.type.rawValue, parameters: entry.elementCount, bytes: entry.bytes.count)
        }
    }

    init(_ folder: ShardedSafetensors) throws {
        let (tensors, packedNames, type) = Self.packedTensors(folder)
        for name in packedNames {
            let tensor = try tensors.tensor(name)
            add(type: type, parameters: tensor.elementCount, bytes: tensor.byteCount)
        }
        for name in tensors.names where !packedNames.contains(name) {
            let entry = try folder.entry(name)
            add(type: entry.type.rawValue, parameters: entry.elementCount, bytes: entry.bytes.count)
        }
    }

    private static func packedTensors(
        _ folder: ShardedSafetensors
    ) -> (any TensorSource, packedNames: Set<String>, type: String) {
        if MicroscaledTensors.isPacked(folder) {
            let tensors = MicroscaledTensors(folder)
            return (tensors, tensors.packedNames, StoredFormat.mxfp4.rawValue)
        }
        let tensors = BitsandbytesTensors(folder)
        return (tensors, tensors.packedNames, "NF4")
    }

    init(_ file: GGUFFile) {
        for tensor in file.tensors {
            let count = tensor.shape.reduce(1) { count, size in
                let (product, overflows) = count.multipliedReportingOverflow(by: size)
                return overflows ? .max : product
            }
            // A type that this program does not know has no size that it could know.
            add(type: tensor.type.description, parameters: count, bytes: tensor.bytes?.count ?? 0)
        }
    }

    /// Counts in all and by type, the largest type first.
    var facts: JSONObject {
        let ordered = types.sorted {
            $0.value.bytes != $1.value.bytes ? $0.value.bytes > $1.value.bytes : $0.key < $1.key
        }
        let byType = ordered.map { type, count in
            (
                type,
                JSONValue.object([
                    "tensors": .integer(count.tensors), "parameters": .integer(count.parameters),
                    "bytes": .integer(count.bytes),
                ])
            )
        }
        return [
            "parameters": .integer(parameters), "tensors": .integer(types.values.reduce(0) { $0 + $1.tensors }),
            "bytes": .integer(types.values.reduce(0) { Self.sum($0, $1.bytes) }), "types": .object(JSONObject(byType)),
        ]
    }
}

extension JSONObject {
    /// This object's members and then those of another.
    func followed(by other: JSONObject) -> JSONObject {
        JSONObject((members + other.members).map { ($0.key, $0.value) })
    }
}
