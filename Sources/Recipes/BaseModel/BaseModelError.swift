import Tokenization

/// Why a base model cannot be opened or used.
public enum BaseModelError: Error, CustomStringConvertible, Sendable {
    /// There is nothing at the path.
    case missing(path: String, remedy: String)
    /// A folder is no model, but holds files that are.
    case holdsModels(path: String, files: [String])
    /// What is there is no model.
    case notAModel(path: String, reason: String)
    /// The tokenizer cannot be read.
    case tokenizer(place: String, reason: String)
    /// The chat template cannot be read.
    case template(place: String, reason: String)
    /// Text is needed, but there is no tokenizer.
    case noTokenizer(path: String)
    /// A chat is needed, but there is no chat template.
    case noTemplate(path: String)

    /// There is nothing at the path, with a look around for what was meant.
    public static func nothing(at path: String) -> BaseModelError {
        .missing(path: path, remedy: ModelPath(path).remedy)
    }

    /// One sentence: what was found, where, what to do.
    public var description: String {
        switch self {
        case .missing(let path, let remedy): "\(path): there is no such file or folder; \(remedy)"
        case .holdsModels(let path, let files):
            "\(path): there is no config.json in this folder, but "
                + (files.count == 1
                    ? "a .gguf file; give its path: \(files[0])"
                    : "\(files.count) .gguf files; give the path of one, such as \(files[0])")
        case .notAModel(let path, let reason): "\(path): \(reason); expected a Hugging Face model folder (config.json, *.safetensors) or a .gguf file"
        case .tokenizer(let place, let reason): "\(place): \(reason)"
        case .template(let place, let reason): "\(place): the chat template cannot be used: \(reason)"
        case .noTokenizer(let path): "\(path): the model has no tokenizer (tokenizer.json), which text needs; add it, or use token ids"
        case .noTemplate(let path):
            "\(path): the model has no chat template (chat_template.jinja or chat_template in tokenizer_config.json), which chats need; name one with model.chat_template, add one, or use another data format"
        }
    }
}
