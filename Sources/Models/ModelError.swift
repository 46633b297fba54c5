public import Checkpoints
public import Layers

/// Why a model cannot be built, adapted or written.
public enum ModelError: Error, CustomStringConvertible, Sendable {
    /// A configuration cannot be read: `place` is its file, `reason` names key, found and expected.
    case configuration(place: String, reason: String)
    /// No architecture of this program reads the model type.
    case unknownArchitecture(place: String, found: String, known: [String])
    /// A tensor has another shape than the configuration asks for.
    case shape(place: String, tensor: String, found: [Int], expected: [Int])
    /// A checkpoint has tensors that the network, which has so many layers, does not use.
    case unusedTensors(place: String, names: [String], layers: Int)
    /// A checkpoint file is missing, damaged or unsuitable.
    case checkpoint(CheckpointError)
    /// An adapter does not fit the model.
    case adapter(place: String, AdapterError)
    /// An adapter's configuration asks for something that is not supported.
    case adapterConfiguration(place: String, reason: String)

    /// One sentence: what was found, what was expected, where, what to do.
    public var description: String {
        switch self {
        case .configuration(let place, let reason): "\(place): \(reason)"
        case .unknownArchitecture(let place, let found, let known):
            "\(place): the model type is \(found), which this version cannot read; it reads \(known.joined(separator: ", "))"
        case .shape(let place, let tensor, let found, let expected):
            "\(place): tensor \(tensor) has shape \(found), but the configuration asks for \(expected); configuration and weights do not belong together"
        case .unusedTensors(let place, let names, let layers):
            "\(place): the network of this configuration, which has \(layers) layers, does not use \(Self.list(names)) of the checkpoint; configuration and weights do not belong together"
        case .checkpoint(let error): error.description
        case .adapter(let place, let error): "\(place): \(error)"
        case .adapterConfiguration(let place, let reason): "\(place): \(reason)"
        }
    }

    /// "the tensor a", "the tensors a and b" or "12 tensors (a, b, c, …)".
    private static func list(_ names: [String]) -> String {
        switch names.count {
        case 1: "the tensor \(names[0])"
        case 2: "the tensors \(names[0]) and \(names[1])"
        default: "\(names.count) tensors (\(names.prefix(3).joined(separator: ", "))\(names.count > 3 ? ", …" : ""))"
        }
    }
}
