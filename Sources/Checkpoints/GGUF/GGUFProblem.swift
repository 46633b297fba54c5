/// The ways in which a GGUF file can be wrong, or not have what is asked for.
public enum GGUFProblem: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file is what git-lfs leaves in the place of one.
    case gitPointer
    /// The file does not start with "GGUF".
    case notGGUF
    /// The file is written for big-endian machines.
    case bigEndian
    /// A version other than 2 and 3.
    case unsupportedVersion(UInt32)
    /// The file ends within `part`, which needs `needed` bytes at `offset`.
    case truncated(part: String, offset: Int, needed: UInt64, fileSize: Int)
    /// `part` claims more items than the rest of the file could hold.
    case impossibleCount(part: String, count: UInt64, remaining: Int)
    /// A string is not valid UTF-8.
    case badString(part: String)
    /// A metadata value has a type number that the format does not know.
    case unknownValueType(part: String, type: UInt32)
    /// A Boolean is neither 0 nor 1.
    case badBool(part: String, value: UInt8)
    /// Arrays are nested too deeply.
    case tooDeep(part: String)
    /// Two metadata entries have the same key.
    case duplicateKey(String)
    /// Two tensors have the same name.
    case duplicateTensor(String)
    /// `general.alignment` is not a power of two.
    case badAlignment(UInt64)
    /// A tensor has more than four dimensions.
    case tooManyDimensions(tensor: String, count: UInt32)
    /// The shape's element or byte count does not fit a machine word.
    case shapeOverflow(tensor: String, shape: [UInt64])
    /// A row is not a whole number of blocks.
    case partialBlock(tensor: String, columns: Int, type: String, block: Int)
    /// A tensor's offset is not a multiple of the alignment.
    case misaligned(tensor: String, offset: UInt64, alignment: Int)
    /// A tensor's data reach beyond the end of the file.
    case dataBeyondFile(tensor: String, offset: UInt64, byteCount: Int, available: Int)
    /// Two tensors share bytes.
    case overlap(first: String, second: String)
    /// The metadata lack a key that is needed.
    case missingKey(String)
    /// A metadata value has another type than the one needed.
    case wrongType(key: String, expected: String, found: String)

    /// The rest of a sentence that starts with the file's path.
    public var description: String {
        switch self {
        case .gitPointer, .notGGUF, .bigEndian, .unsupportedVersion, .truncated, .impossibleCount: containerDescription
        case .badString, .unknownValueType, .badBool, .tooDeep, .duplicateKey, .badAlignment, .missingKey, .wrongType:
            metadataDescription
        default: tensorDescription
        }
    }

    private var containerDescription: String {
        switch self {
        case .gitPointer: GitPointer.sentence
        case .bigEndian: "this GGUF file is for big-endian machines; only little-endian ones are read"
        case .unsupportedVersion(let version): "this is GGUF version \(version); versions 2 and 3 are read"
        case .truncated(let part, let offset, let needed, let size):
            "the file ends within \(part): \(needed) bytes needed at \(offset), but it has only \(size); "
                + "is the download complete?"
        case .impossibleCount(let part, let count, let remaining):
            "\(part) claims \(count) items, more than the remaining \(remaining) bytes can hold; the file is damaged"
        default: "the file does not start with \"GGUF\" and is no GGUF file"
        }
    }

    private var metadataDescription: String {
        switch self {
        case .badString(let part): "\(part) is not valid UTF-8"
        case .unknownValueType(let part, let type): "\(part) has the unknown value type \(type)"
        case .badBool(let part, let value): "\(part) should be true or false (1 or 0), but is \(value)"
        case .tooDeep(let part): "\(part) nests arrays too deeply"
        case .duplicateKey(let key): "the metadata have \(key) twice"
        case .badAlignment(let value): "general.alignment is \(value), which is not a power of two up to 2^20"
        case .missingKey(let key): "the metadata lack \(key)"
        case .wrongType(let key, let expected, let found): "\(key) should be \(expected), but is \(found)"
        default: ""
        }
    }

    private var tensorDescription: String {
        switch self {
        case .duplicateTensor(let name): "the file lists tensor \(name) twice"
        case .tooManyDimensions(let tensor, let count):
            "tensor \(tensor) has \(count) dimensions; at most 4 are allowed"
        case .shapeOverflow(let tensor, let shape): "tensor \(tensor) has the impossible shape \(shape)"
        case .partialBlock(let tensor, let columns, let type, let block):
            "tensor \(tensor) has \(columns) columns, but \(type) needs a multiple of \(block)"
        case .misaligned(let tensor, let offset, let alignment):
            "the data of tensor \(tensor) begin at \(offset), which is not a multiple of \(alignment)"
        case .dataBeyondFile(let tensor, let offset, let byteCount, let available):
            "the data of tensor \(tensor) (\(byteCount) bytes from \(offset)) reach beyond the \(available) bytes of "
                + "data in the file; is the download complete?"
        case .overlap(let first, let second): "the data of tensors \(first) and \(second) overlap"
        default: ""
        }
    }
}
