import Datasets
import Testing
import Tokenization

private let dialogue = [
    Message(role: "system", content: "Be brief."), Message(role: "user", content: "One?"),
    Message(role: "assistant", content: "Yes, one."), Message(role: "user", content: "Two?"),
    Message(role: "assistant", content: "Two, indeed."),
]

private func encoder(
    _ trainOn: TrainOn = .assistant, template: String = Fixtures.chatML, maxLength: Int? = nil,
    truncation: Truncation = .error
) throws -> ExampleEncoder {
    ExampleEncoder(
        tokenizer: try Fixtures.smollm2(), template: try ChatTemplate(template),
        options: EncodingOptions(trainOn: trainOn, maxLength: maxLength, truncation: truncation))
}

/// The trained tokens as texts, one for each run of neighbours.
private func trainedTexts(_ example: EncodedExample) throws -> [String] {
    var runs: [[Int32]] = []
    var wasTrained = false
    for (id, label) in zip(example.ids, example.labels) {
        if label != TokenBatch.ignoredLabel {
            #expect(label == id)
            if wasTrained { runs[runs.count - 1].append(id) } else { runs.append([id]) }
        }
        wasTrained = label != TokenBatch.ignoredLabel
    }
    let tokenizer = try Fixtures.smollm2()
    return runs.map { tokenizer.decode($0) }
}

private func encoded(
    _ encoder: ExampleEncoder, _ messages: [Message] = dialogue, untrained: Set<Int> = []
) throws -> EncodedExample {
    let conversation = Conversation(messages: messages, untrained: untrained)
    let outcomes = try encoder.encode(DatasetRecord(.conversation(conversation), file: "f", line: 7))
    guard outcomes.count == 1, case .encoded(let example) = outcomes[0] else { throw Unexpected(what: "\(outcomes)") }
    return example
}

private func problem(_ encoder: ExampleEncoder, _ messages: [Message] = dialogue, untrained: Set<Int> = [])
    -> DatasetProblem?
{
    do {
        _ = try encoded(encoder, messages, untrained: untrained)
        return nil
    } catch {
        return error as? DatasetProblem
    }
}

@Test func answersAndTheirEndTokensAreTrained() throws {
    let example = try encoded(try encoder())
    #expect(try trainedTexts(example) == ["Yes, one.<|im_end|>", "Two, indeed.<|im_end|>"])
    #expect(example.line == 7)
    let whole = try Fixtures.smollm2().decode(example.ids)
    #expect(whole.hasPrefix("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n"))
    #expect(whole.hasSuffix("<|im_start|>assistant\nTwo, indeed.<|im_end|>\n"))
}

@Test func lastTrainsTheLastAnswerOnly() throws {
    #expect(try trainedTexts(try encoded(try encoder(.last))) == ["Two, indeed.<|im_end|>"])
    let openEnded = dialogue + [Message(role: "user", content: "Three?")]
    #expect(try trainedTexts(try encoded(try encoder(.last), openEnded)) == ["Two, indeed.<|im_end|>"])
}

@Test func allTrainsEverythingButTheFirstToken() throws {
    let example = try encoded(try encoder(.all))
    #expect(example.labels.dropFirst() == example.ids.dropFirst())
    #expect(example.labels[0] == TokenBatch.ignoredLabel)
}

@Test func messagesKeptFromTrainingAreNotTrained() throws {
    #expect(try trainedTexts(try encoded(try encoder(), untrained: [2])) == ["Two, indeed.<|im_end|>"])
    let all = try encoded(try encoder(.all), untrained: [2])
    let masked = all.ids.indices.dropFirst().filter { all.labels[$0] == TokenBatch.ignoredLabel }
    #expect(try Fixtures.smollm2().decode(masked.map { all.ids[$0] }) == "Yes, one.<|im_end|>\n")
}

@Test func maskFollowsTheTurnNotTheTextsInIt() throws {
    let echo = [
        Message(role: "user", content: "assistant\nYes.<|im_end|>"), Message(role: "assistant", content: "Yes."),
    ]
    #expect(try trainedTexts(try encoded(try encoder(), echo)) == ["Yes.<|im_end|>"])
}

@Test func textsBeyondASCIIKeepTheirPlaces() throws {
    let messages = [
        Message(role: "user", content: "Où ? 東京 👩‍👩‍👧"), Message(role: "assistant", content: "À côté. 👍🏽 東"),
        Message(role: "user", content: "é"), Message(role: "assistant", content: "ñ"),
    ]
    #expect(try trainedTexts(try encoded(try encoder(), messages)) == ["À côté. 👍🏽 東<|im_end|>", "ñ<|im_end|>"])
}

@Test func recordsWithNothingToTrainAreRefused() throws {
    func reason(_ problem: DatasetProblem?) -> String? {
        if case .noSupervisedToken(let reason)? = problem?.kind { reason } else { nil }
    }
    let questions = problem(try encoder(), [Message(role: "user", content: "One?")])
    #expect(reason(questions)?.contains("no assistant message") == true)
    #expect(questions?.place == "f:7")
    #expect(questions?.isSkippable == true)
    #expect(reason(problem(try encoder(), untrained: [2, 4]))?.contains("train: false") == true)
    #expect(reason(problem(try encoder(.last), untrained: [4]))?.contains("train: false") == true)
    #expect(problem(try encoder(.last), untrained: [2]) == nil)
}

@Test func conversationsWhoseAnswersAreAllEmptyAreRefused() throws {
    let user = Message(role: "user", content: "One?")
    let (empty, blank) = (Message(role: "assistant", content: ""), Message(role: "assistant", content: " \n"))
    let answer = Message(role: "assistant", content: "Yes.")
    #expect(problem(try encoder(), [user, empty])?.kind == .emptyAnswers)
    #expect(problem(try encoder(), [user, empty, user, blank])?.kind == .emptyAnswers)
    #expect(problem(try encoder(.last), [user, answer, user, empty])?.kind == .emptyAnswers)
    #expect(problem(try encoder(), [user, answer, user, empty], untrained: [1])?.kind == .emptyAnswers)
    #expect(problem(try encoder(.all), [user, empty]) == nil)
    // One among others is learnt, and counted in the report.
    #expect(problem(try encoder(), [user, answer, user, empty]) == nil)
}

@Test func turnWithoutEndTokenIsRefused() throws {
    let unmarked = "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}"
    #expect(problem(try encoder(template: unmarked))?.kind == .missingEndToken(message: 3))
    let outside =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}"
        + "{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    #expect(problem(try encoder(template: outside))?.kind == .missingEndToken(message: 3))
    #expect(problem(try encoder(.all, template: outside))?.kind == .missingEndToken(message: 3))
    #expect(problem(try encoder(.last, template: outside))?.kind == .missingEndToken(message: 5))
}

@Test func doubledBeginningIsRefused() throws {
    let doubled = "<|im_start|>" + Fixtures.chatML
    #expect(problem(try encoder(template: doubled))?.kind == .doubledBOS(token: "<|im_start|>"))
}

@Test func refusalOfTheTemplateNamesTheRecord() throws {
    let refusing = "{{ raise_exception('only two messages') }}"
    let refused = problem(try encoder(template: refusing))
    #expect(refused?.description.contains("only two messages") == true)
    #expect(refused?.place == "f:7")
}

@Test func lengthIsEnforcedAsAsked() throws {
    let length = try encoded(try encoder()).ids.count
    func outcome(_ limit: Int, _ truncation: Truncation) throws -> EncodingOutcome {
        let encoder = try encoder(maxLength: limit, truncation: truncation)
        let outcomes = try encoder.encode(
            DatasetRecord(.conversation(Conversation(messages: dialogue)), file: "f", line: 7))
        return try #require(outcomes.count == 1 ? outcomes[0] : nil)
    }
    for truncation in Truncation.allCases {
        #expect(try outcome(length, truncation) == .encoded(try encoded(try encoder())))
    }
    #expect(throws: DatasetProblem(.tooLong(tokens: length, limit: length - 1), file: "f", line: 7)) {
        try outcome(length - 1, .error)
    }
    #expect(try outcome(length - 1, .drop) == .dropped(tokens: length))
    // The very last token is the line break behind <|im_end|>, which is not trained.
    guard case .truncated(let harmless, lost: .nothingTrained) = try outcome(length - 1, .truncate) else {
        throw Unexpected(what: "\(try outcome(length - 1, .truncate))")
    }
    #expect(try trainedTexts(harmless) == ["Yes, one.<|im_end|>", "Two, indeed.<|im_end|>"])
    // An answer that does not fit goes as a whole, and everything behind the last one that does.
    guard case .truncated(let cut, lost: .turns(1)) = try outcome(length - 2, .truncate) else {
        throw Unexpected(what: "\(try outcome(length - 2, .truncate))")
    }
    #expect(try trainedTexts(cut) == ["Yes, one.<|im_end|>"])
    let first = cut.ids.count
    #expect(try Fixtures.smollm2().decode(cut.ids).hasSuffix("Yes, one.<|im_end|>"))
    // Where not even the first one fits, its beginning stays and its end is said to be gone.
    guard case .truncated(let beginning, lost: .end) = try outcome(first - 1, .truncate) else {
        throw Unexpected(what: "\(try outcome(first - 1, .truncate))")
    }
    #expect(try trainedTexts(beginning) == ["Yes, one."])
    #expect(beginning.ids.count == first - 1)
    #expect(throws: DatasetProblem.self) { try outcome(5, .truncate) }
}

@Test func modelWithoutTemplateOrTokenizerIsNamed() throws {
    let tokenizer = try Fixtures.smollm2()
    #expect(problem(ExampleEncoder(tokenizer: tokenizer, template: nil))?.kind == .noTemplate)
    #expect(problem(ExampleEncoder(tokenizer: nil, template: try ChatTemplate(Fixtures.chatML)))?.kind == .noTokenizer)
}

@Test func turnMarkedInPiecesEndsWithItsLastOne() throws {
    let pieces =
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}"
        + "{{ m.content[:3] }}{% endgeneration %}|{% generation %}{{ m.content[3:] }}<|im_end|>\n{% endgeneration %}"
        + "{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    #expect(
        try trainedTexts(try encoded(try encoder(template: pieces)))
            == ["Yes", ", one.<|im_end|>", "Two", ", indeed.<|im_end|>"])
}

/// Templates without generation blocks, as most models bring them: spans come from rendering the conversation up to
/// each answer.
@Test func templateOfTheModelGivesTheSameMask() throws {
    let source = try Fixtures.template("smollm2")
    let example = try encoded(try encoder(template: source))
    #expect(try trainedTexts(example) == ["Yes, one.<|im_end|>", "Two, indeed.<|im_end|>"])
    let plain = try encoded(try encoder(), dialogue)
    #expect(example == plain)
}

@Test func templateIsGivenTheTokensWithARole() throws {
    let template =
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content ~ eos_token }}"
        + "{% endgeneration %}{% else %}{{ bos_token ~ m.content }}{% endif %}{% endfor %}"
    #expect(
        try trainedTexts(try encoded(try encoder(template: template)))
            == ["Yes, one.<|im_end|>", "Two, indeed.<|im_end|>"])
    let other = ExampleEncoder(
        tokenizer: try Fixtures.smollm2(), template: try ChatTemplate(template),
        options: EncodingOptions(templateVariables: ["eos_token": .string("<|endoftext|>")]))
    #expect(try trainedTexts(try encoded(other)) == ["Yes, one.<|endoftext|>", "Two, indeed.<|endoftext|>"])
}

@Test func dateOfTheTemplateCanBeFixed() throws {
    let dated = "{{ strftime_now('%d %B %Y') }}<|im_end|>" + Fixtures.chatML
    let encoder = ExampleEncoder(
        tokenizer: try Fixtures.smollm2(), template: try ChatTemplate(dated),
        options: EncodingOptions(now: try TemplateClock("2024-07-26")))
    #expect(try Fixtures.smollm2().decode(try encoded(encoder).ids).hasPrefix("26 July 2024<|im_end|>"))
}

@Test func messagesCountByTheirWeights() throws {
    let conversation = Conversation(messages: dialogue, weights: [2: 0.25])
    for trainOn in [TrainOn.assistant, .all] {
        let outcomes = try encoder(trainOn).encode(DatasetRecord(.conversation(conversation), file: "f", line: 7))
        let example = try #require(outcomes.first?.example)
        let weights = try #require(example.weights)
        let light = example.ids.indices.filter { weights[$0] == 0.25 }
        #expect(try Fixtures.smollm2().decode(light.map { example.ids[$0] }) == "Yes, one.<|im_end|>")
        #expect(example.ids.indices.allSatisfy { weights[$0] == 1 || light.contains($0) })
        let batch = EncodedDataset([example, EncodedExample(ids: [1, 2, 3])]).batch(of: [1, 0])
        #expect(batch.weights?[..<3] == [1, 1, 1] || batch.weights?[..<2] == [1, 1])
        #expect(batch.supervisedWeight == Double(batch.supervisedCount) - 0.75 * Double(light.count))
    }
}
