public import Foundation
import TensorCore

/// Writes one safetensors file piece by piece: all tensors are declared first, then their data are appended, so that
/// memory never holds more than the caller's own piece.
///
/// Tensors may come in any order and in several pieces; the pieces of one tensor come in order. The file is complete
/// only after `finish`; write it inside `AtomicFile` or `AtomicDirectory`, or use `write(to:tensors:metadata:_:)`.
///
/// Not Sendable: one thread writes.
public final class SafetensorsWriter: TensorWriter {
    /// The file's path.
    public let path: String
    /// The declared tensors in the order of their data in the file.
    public let tensors: [TensorDeclaration]
    private let file: OutputFile
    private let layout: SafetensorsLayout
    private let types: [String: SafetensorsType]
    /// Bytes received so far, by tensor.
    private var received: [String: Int] = [:]
    private static let conversionCount = 1 << 16

    /// Creates the file and writes its header. Fails at once if the disk has too little space for all tensors.
    public init(
        creating url: URL, tensors: [TensorDeclaration], metadata: [String: String] = ["format": "pt"]
    ) throws(CheckpointError) {
        path = url.path
        do {
            layout = try SafetensorsLayout(tensors, metadata: metadata)
        } catch {
            throw .writing(path: url.path, error)
        }
        self.tensors = layout.tensors
        types = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.type) })
        let size = layout.header.count + layout.dataSize
        let folder = url.deletingLastPathComponent().path
        try reportingFiles(try FileSystem.requireSpace(size, for: url.path, in: folder))
        file = try reportingFiles(try OutputFile(creating: url.path))
        try reportingFiles(try file.write(layout.header))
    }

    /// Appends bytes to a tensor as they are: little-endian elements of the declared type.
    public func append(_ bytes: UnsafeRawBufferPointer, to name: String) throws(CheckpointError) {
        guard let range = layout.ranges[name] else { throw .writing(path: path, .notDeclared(name)) }
        let start = received[name, default: 0]
        guard bytes.count <= range.count - start else {
            throw .writing(path: path, .tooMuch(tensor: name, expected: range.count, found: start + bytes.count))
        }
        let offset = layout.header.count + range.lowerBound + start
        try reportingFiles(try file.write(bytes, at: offset))
        received[name] = start + bytes.count
    }

    /// Appends numbers to a tensor of type F32, BF16 or F16, rounding to nearest even where needed.
    public func append(_ values: UnsafeBufferPointer<Float>, to name: String) throws(CheckpointError) {
        guard let type = types[name] else { throw .writing(path: path, .notDeclared(name)) }
        switch type {
        case .float32: try append(UnsafeRawBufferPointer(values), to: name)
        case .bfloat16: try append(values, to: name, converting: FloatConversion.bfloat16)
        case .float16: try append(values, to: name, converting: FloatConversion.float16)
        default: throw .writing(path: path, .notConvertible(tensor: name, type: type))
        }
    }

    private func append(
        _ values: UnsafeBufferPointer<Float>, to name: String,
        converting convert: (UnsafeBufferPointer<Float>, UnsafeMutablePointer<UInt16>) -> Void
    ) throws(CheckpointError) {
        let piece = min(Self.conversionCount, values.count)
        let converted = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: piece)
        defer { converted.deallocate() }
        guard let target = converted.baseAddress else { return }
        for start in stride(from: 0, to: values.count, by: max(piece, 1)) {
            let part = UnsafeBufferPointer(rebasing: values[start..<min(start + piece, values.count)])
            convert(part, target)
            try append(UnsafeRawBufferPointer(start: target, count: part.count * 2), to: name)
        }
    }

    /// Checks that every tensor is complete, waits until the file is on the disk and closes it.
    public func finish() throws(CheckpointError) {
        for tensor in tensors {
            let expected = layout.ranges[tensor.name]?.count ?? 0
            let found = received[tensor.name, default: 0]
            guard found == expected else {
                throw .writing(path: path, .incomplete(tensor: tensor.name, expected: expected, found: found))
            }
        }
        try reportingFiles(try file.finish())
    }

    /// Writes a whole file atomically: `body` appends the data of all declared tensors.
    ///
    /// - Throws: `CheckpointError`, and what `body` throws; then the previous file is still there.
    public static func write(
        to url: URL, tensors: [TensorDeclaration], metadata: [String: String] = ["format": "pt"],
        _ body: (SafetensorsWriter) throws -> Void
    ) throws {
        try AtomicFile.write(to: url) { temporary in
            let writer = try SafetensorsWriter(creating: temporary, tensors: tensors, metadata: metadata)
            try body(writer)
            try writer.finish()
        }
    }
}
