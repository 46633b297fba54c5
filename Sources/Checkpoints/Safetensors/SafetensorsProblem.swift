/// The ways in which a safetensors file can be wrong.
public enum SafetensorsProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file is what git-lfs leaves in the place of one.
    case gitPointer
    /// The file is shorter than the 8 bytes that state the header's length.
    case noHeader(fileSize: Int)
    /// The stated header length is above the format's limit.
    case headerTooLong(length: UInt64, limit: Int)
    /// The stated header length reaches beyond the end of the file.
    case headerBeyondFile(length: Int, fileSize: Int)
    /// The header is not the JSON that the format asks for; `offset` counts from the header's first byte.
    case badHeader(offset: Int, JSONProblem)
    /// Two tensors have the same name.
    case duplicateName(String)
    /// The element type is not one of the format's.
    case unknownType(tensor: String, type: String)
    /// An entry lacks `dtype`, `shape` or `data_offsets`, or has it twice.
    case badEntry(tensor: String, key: String)
    /// The shape's element or byte count does not fit a machine word.
    case shapeOverflow(tensor: String, shape: [Int])
    /// The tensor's data end before they begin.
    case reversedOffsets(tensor: String, begin: Int, end: Int)
    /// The tensor's data end beyond the end of the file.
    case dataBeyondFile(tensor: String, end: Int, available: Int)
    /// Shape and type need another number of bytes than the offsets span.
    case sizeMismatch(tensor: String, expected: Int, found: Int)
    /// Two tensors share bytes.
    case overlap(first: String, second: String)
    /// Bytes between tensors, or after the last one, belong to no tensor.
    case hole(begin: Int, end: Int)

    /// The rest of a sentence that starts with the file's path.
    public var description: String {
        switch self {
        case .gitPointer: GitPointer.sentence
        case .noHeader(let size): "the file has \(size) bytes and is no safetensors file; is the download complete?"
        case .headerTooLong(let length, let limit):
            "the header claims \(length) bytes, the limit is \(limit); this is no safetensors file"
        case .headerBeyondFile(let length, let size):
            "the header claims \(length) bytes, but the file has only \(size); is the download complete?"
        case .badHeader(let offset, let problem): "the header is no valid JSON at byte \(offset): \(problem)"
        case .duplicateName(let name): "the header lists tensor \(name) twice"
        case .unknownType(let tensor, let type): "tensor \(tensor) has the unknown type \"\(type)\""
        case .badEntry(let tensor, let key): "the entry of tensor \(tensor) must have \(key) exactly once"
        case .shapeOverflow(let tensor, let shape): "tensor \(tensor) has the impossible shape \(shape)"
        case .reversedOffsets(let tensor, let begin, let end):
            "the data of tensor \(tensor) begin at \(begin) and end before that, at \(end)"
        case .dataBeyondFile(let tensor, let end, let available):
            "the data of tensor \(tensor) end at \(end), but the file holds only \(available) bytes of data; "
                + "is the download complete?"
        case .sizeMismatch(let tensor, let expected, let found):
            "tensor \(tensor) needs \(expected) bytes by its shape and type, but its offsets span \(found)"
        case .overlap(let first, let second): "the data of tensors \(first) and \(second) overlap"
        case .hole(let begin, let end): "bytes \(begin) to \(end) of the data belong to no tensor"
        }
    }
}
