extension DatasetProblemKind {
    /// What was found, and what was expected where that is not plain.
    public var found: String {
        switch self {
        case .missing: "the file does not exist"
        case .denied: "it may not be read (permission denied)"
        case .unreadable(let reason): "the file cannot be read (\(reason))"
        case .notText(let looksLike): "this looks like \(looksLike), not like JSON, a table or text in UTF-8"
        case .noDataFiles: "the folder holds no data file"
        case .empty: "the data set holds no record"
        case .badHeader(let reason): "the table's first row cannot name its columns: \(reason)"
        case .recordTooLarge(let limit): "a record is larger than \(limit >> 20) MiB"
        case .changed: "the file has changed while it was read"
        case .unwritable(let reason): "it cannot be written (\(reason))"
        case .damagedCache(let reason): "this folder of the cache is damaged (\(reason))"
        case .recorded(let found, _): found
        case .unknownFormat(let keys): "no known format has the keys \(Self.list(keys))"
        case .foreignField(let key, let format):
            "fields names \"\(key)\", which is no key of the format \(format.rawValue)"
        case .fieldNowhere(let key, let name): "no record has the key \"\(name)\", which fields names for \"\(key)\""
        case .ambiguousFormat(let formats):
            "the keys of the first record fit more than one format: \(Self.list(formats.map(\.rawValue)))"
        case .malformedJSON(let column, let reason): "malformed JSON at column \(column): \(reason)"
        case .missingComma: "a comma is missing before this record"
        case .trailingComma: "a comma stands between the last record and the ] that ends the array"
        case .unclosedArray: "the file ends before the array of records is closed"
        case .textAfterArray: "something stands after the ] that ends the array of records"
        case .notAnObject(let found): "the record is \(found), an object is expected"
        case .missingKey(let key, let format, let keys) where keys.contains(key):
            "the key \"\(key)\" of the format \(format.rawValue) is null"
        case .missingKey(let key, let format, let keys):
            "the key \"\(key)\" of the format \(format.rawValue) is missing; the record has \(Self.list(keys))"
        case .wrongType(let key, let expected, let found): "\"\(key)\" is \(found), \(expected) is expected"
        case .emptyConversation(let key): "\"\(key)\" is empty"
        case .unknownRole(let role, let message): "message \(message) has the unknown role \"\(role)\""
        case .emptyField(let key): "\"\(key)\" is empty, so there is nothing to learn"
        case .tokenIDOutside(let id, let position, let size?):
            "the token id \(id) at position \(position) is outside the vocabulary of \(size) tokens"
        case .tokenIDOutside(let id, let position, nil): "\(id) at position \(position) cannot be a token id"
        case .labelCount(let ids, let labels): "there are \(ids) input_ids but \(labels) labels"
        case .invalidLabel(let label, let position): "the label \(label) at position \(position) is no token id"
        case .shiftedLabels: "every label is the id of the next token, so the labels are shifted already"
        default: foundInTables ?? foundWhenEncoding
        }
    }

    private var foundInTables: String? {
        switch self {
        case .unclosedQuotation: "a cell's quotation mark is not closed"
        case .textAfterQuotation(let cell): "something stands behind the closing quotation mark of cell \(cell)"
        case .cellCount(let found, let columns): "the row has \(found) cells, the table has \(columns) columns"
        case .invalidUTF8: "the record's bytes are no valid UTF-8"
        case .namelessTool(let key): "\"\(key)\" has no name"
        case .equalAnswers: "\"chosen\" and \"rejected\" are the same"
        case .mixedPreference: "the prompt and the answers are not of one kind"
        case .noAnswer(let key): "\"\(key)\" does not end with a message of the assistant"
        case .twoSystemTexts: "\"system\" is not what the messages themselves begin with as the system's"
        case .noPlace(let key, let format): "the format \(format.rawValue) has no place for \"\(key)\""
        default: nil
        }
    }

    private var foundWhenEncoding: String {
        switch self {
        case .notTrainable(let format):
            "this record is of the format \(format.rawValue), which this version reads but cannot train on"
        case .noTokenizer: "this record is text, but the base model has no tokenizer"
        case .noTemplate: "this record is a conversation, but the base model has no chat template"
        case .noEndToken: "the tokenizer names no end-of-text token, so the model could not learn to stop"
        case .templateRefused(let reason): "the conversation cannot be rendered: \(reason)"
        case .doubledBOS(let token): "the encoded record starts with \(token) twice"
        case .missingEndToken(let message):
            "the trained turn of message \(message) does not end with a special token, so the model would not learn"
                + " to stop"
        case .toolCallsLeftOut(let message): "the chat template leaves out the tool calls of message \(message)"
        case .emptyAnswers: "every answer that is trained is empty, so there is nothing to learn but to stop"
        case .noSupervisedToken(let reason): "no token of the record is trained: \(reason)"
        case .tooLong(let tokens, let limit): "the record has \(tokens) tokens, max_length is \(limit)"
        case .nothingLeft(let skipped, let dropped, let first):
            "no record is left: \(skipped) skipped, \(dropped) dropped as too long"
                + (first.map { " (the first: \($0))" } ?? "")
        case .everythingSupervised: "every token of the conversations is trained, though only answers should be"
        case .cursorOutside(let cursor, let batches):
            "the saved position (epoch \(cursor.epoch), micro-batch \(cursor.nextBatch)) is outside the"
                + " \(batches) micro-batches of this data"
        default: ""
        }
    }

    /// What to do.
    public var remedy: String {
        switch self {
        case .missing: "check the path"
        case .denied: "let this user read it"
        case .unreadable: "check that it is a file that you may read"
        case .notText: "unpack or convert it first"
        case .noDataFiles:
            "it is searched for \(Container.endings.map { "." + $0 }.joined(separator: ", ")), each with .gz or .zst or without"
        case .empty: "give it at least one"
        case .badHeader: "give every column a name of its own"
        case .recordTooLarge: "check that the file is what you think, or unpack it"
        case .changed: "leave it as it is until the run is over, and start again"
        case .unwritable: "make room there or name another folder with --cache"
        case .damagedCache: "delete it with `martlet cache prune` and start again"
        case .recorded(_, let remedy): remedy
        case .unknownFormat(let keys):
            FieldGuess.fields(for: keys).map {
                "a recipe can say which they are: fields: \($0); known are \(DatasetFormat.overview)"
            } ?? "known are \(DatasetFormat.overview); a recipe can say with fields which key stands for which"
        case .foreignField(_, let format):
            "its keys are \(Self.list(format.requiredKeys + format.optionalKeys)); or name the format with format:"
        case .fieldNowhere: "name the key that the records have, or leave the field out"
        case .ambiguousFormat: "name the one you mean with format:"
        case .malformedJSON: "write each record as one JSON object, on a line of its own or in one array"
        case .missingComma: "put one between the records"
        case .trailingComma: "remove it"
        case .unclosedArray: "check that the file is complete"
        case .textAfterArray: "remove it, or write one record per line without the brackets"
        case .notAnObject: "write every record as { \"key\": value, … }"
        case .missingKey(let key, _, let keys) where keys.contains(key): "give it a value or leave the record out (\(Self.skipping))"
        case .missingKey: "add it, or name the right format: \(DatasetFormat.overview)"
        case .wrongType, .emptyField: "repair the record or leave it out (\(Self.skipping))"
        case .emptyConversation: "give it at least a question and an answer"
        case .unknownRole: "roles are \(Self.list(ChatFormat.roles))"
        case .tokenIDOutside: "encode the record with the tokenizer of the base model"
        case .labelCount: "give one label for each id, or leave labels away to train everything"
        case .invalidLabel: "labels are token ids, or -100 where nothing is trained"
        case .shiftedLabels: "align them with input_ids; the shift by one is made when training"
        default: remedyInTables ?? remedyWhenEncoding
        }
    }

    private var remedyInTables: String? {
        switch self {
        case .unclosedQuotation: "close it, or double it if it belongs to the text"
        case .textAfterQuotation: "put the whole cell in quotation marks and double those inside"
        case .cellCount: "put cells that hold separators or line breaks in quotation marks"
        case .invalidUTF8: "save the file as UTF-8"
        case .namelessTool: "give it one, as in {\"type\": \"function\", \"function\": {\"name\": …}}"
        case .equalAnswers: "remove the record, there is nothing to prefer"
        case .mixedPreference: "write all three as texts or all as messages"
        case .noAnswer: "end it with what the model should say"
        case .twoSystemTexts: "keep one of the two"
        case .noPlace: "write it into the prompt, or give the record as messages (chat) or as an instruction (instruct)"
        default: nil
        }
    }

    private var remedyWhenEncoding: String {
        switch self {
        case .notTrainable: "give the better answers alone as messages or as prompt and completion"
        case .noTokenizer: "add tokenizer.json to the model's folder or give the data as input_ids"
        case .noTemplate: "name one with model.chat_template, use an instruct model, or give the data as prompt and completion"
        case .noEndToken: "set eos_token in the model's tokenizer_config.json"
        case .templateRefused: "change the conversation so that the template accepts it"
        case .doubledBOS: "remove it from the record's text, the template or the tokenizer adds it"
        case .missingEndToken: "use a template whose assistant turns end with the model's end-of-turn token"
        case .toolCallsLeftOut: "use a model whose template knows tool calls, or mark the message with train: false"
        case .emptyAnswers, .noSupervisedToken: "repair the record or leave it out (\(Self.skipping))"
        case .tooLong: "raise max_length, or choose truncation: truncate or drop"
        case .nothingLeft: "repair the records or raise max_length"
        case .everythingSupervised: "check the chat template's generation blocks, or say train_on: all"
        case .cursorOutside: "resume with the data and batch settings that the run was started with"
        default: ""
        }
    }

    private static let skipping = "on_error: skip in a recipe"

    private static func list(_ words: [String]) -> String {
        words.isEmpty ? "(none)" : words.prefix(12).joined(separator: ", ") + (words.count > 12 ? ", …" : "")
    }
}
