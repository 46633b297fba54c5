import Datasets
import Testing
import Tokenization

private func encode(
    _ lines: [String], _ options: EncodingOptions = EncodingOptions(), onError: ErrorPolicy = .stop,
    format: DatasetFormat? = nil, template: String = Fixtures.chatML, contextLength: Int? = nil
) throws -> (data: EncodedDataset, summary: EncodingSummary) {
    let reader = try TemporaryFile(lines.joined(separator: "\n")).reader(format)
    let encoder = ExampleEncoder(
        tokenizer: try Fixtures.smollm2(), template: try ChatTemplate(template), vocabularySize: 49152,
        contextLength: contextLength, options: options)
    var dataset = EncodedDataset()
    let summary = try encoder.encode(reader, onError: onError, into: &dataset)
    try encoder.check(summary)
    return (dataset, summary)
}

private func problem(_ body: () throws -> Void) -> DatasetProblem? {
    do {
        try body()
        return nil
    } catch {
        return error as? DatasetProblem
    }
}

private let mixed = [
    #"{"input_ids": [1, 2, 3]}"#, #"{"input_ids": [1], "labels": [1]}"#, "", #"{"input_ids": [1, 2"#,
    #"{"input_ids": [1, 2, 3, 4, 5, 6]}"#, #"{"input_ids": [70000, 2]}"#,
    #"{"input_ids": [9, 8], "labels": [-100, 8]}"#,
]

@Test func summaryCountsWhatBecameOfTheRecords() throws {
    let options = EncodingOptions(maxLength: 4, truncation: .truncate)
    let (data, summary) = try encode(mixed, options, onError: .skip)
    #expect(data.count == 3)
    #expect((0..<3).map { data[$0].line } == [1, 5, 7])
    #expect(summary.format == .tokens)
    #expect(summary.formatWasDetected)
    #expect(summary.records == 3)
    #expect(summary.tokens == 9)
    #expect(summary.supervisedTokens == 6)
    #expect(summary.supervisedShare == 6.0 / 9.0)
    #expect(summary.truncated == 1)
    #expect(summary.endsCut == 1)
    #expect(summary.firstEndsCut == ["\(summary.source):5"])
    #expect(summary.skipped == 3)
    #expect(
        summary.problemCounts == ["no_supervised_token": 1, "malformed_json": 1, "token_id_outside": 1])
    #expect(summary.firstProblems.map(\.line) == [2, 4, 6])
    #expect(summary.shortest == 2)
    #expect(summary.longest == 4)
    #expect(data.sources == [summary.source])
    #expect(summary.description.contains("3 records of the format tokens (detected)"))
}

@Test func droppedRecordsAreCounted() throws {
    let (data, summary) = try encode(mixed, EncodingOptions(maxLength: 4, truncation: .drop), onError: .skip)
    #expect(summary.dropped == 1)
    #expect(summary.truncated == 0)
    #expect(data.count == 2)
}

@Test func stopNamesTheFirstProblem() throws {
    #expect(problem { _ = try encode(mixed) }?.line == 2)
    let tooLong = problem { _ = try encode(mixed, EncodingOptions(maxLength: 4), onError: .skip) }
    #expect(tooLong?.kind == .tooLong(tokens: 6, limit: 4))
    #expect(tooLong?.line == 5)
}

@Test func onlyTheFirstProblemsAreListed() throws {
    let lines = [#"{"input_ids": [1, 2]}"#] + Array(repeating: "broken", count: 25)
    let (_, summary) = try encode(lines, onError: .skip)
    #expect(summary.skipped == 25)
    #expect(summary.firstProblems.count == EncodingSummary.listLimit)
}

@Test func nothingLeftIsRefused() throws {
    let all = #"{"input_ids": [1, 2], "labels": [-100, -100]}"#
    let left = problem { _ = try encode([all, all], onError: .skip) }
    guard case .nothingLeft(skipped: 2, dropped: 0, first: .some) = left?.kind else {
        throw Unexpected(what: "\(String(describing: left))")
    }
    let dropped = EncodingOptions(maxLength: 1, truncation: .drop)
    #expect(
        problem { _ = try encode([#"{"input_ids": [1, 2]}"#], dropped) }?.kind
            == .nothingLeft(skipped: 0, dropped: 1, first: nil))
}

@Test func conversationsTrainedInFullAreRefusedUnlessAskedFor() throws {
    let record = #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#
    let everything =
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>"
        + "{% endgeneration %}{% endif %}{% endfor %}"
    #expect(problem { _ = try encode([record], template: everything) }?.kind == .everythingSupervised)
    #expect(problem { _ = try encode([record], EncodingOptions(trainOn: .all), template: everything) } == nil)
    #expect(problem { _ = try encode([record]) } == nil)
}

@Test func keysThatAreNotUsedAreCounted() throws {
    let lines = [
        #"{"text": "a", "id": 1, "system": "S", "meta": {}}"#, #"{"text": "b", "id": 2, "system": ""}"#,
        #"{"text": "c", "id": 3, "tags": null}"#,
    ]
    let summary = try encode(lines).summary
    #expect(summary.unusedKeys == ["id": 3, "system": 1])
    #expect(summary.unusedKeyList == "\"id\", \"system\" (1 record)")
    #expect(
        summary.remarks == [
            "\(summary.source): not used of these records: \"system\" (1 record); the format text reads text"
        ])
    let plain = try encode([lines[2]]).summary
    #expect(plain.unusedKeys == ["id": 1] && plain.remarks.isEmpty)
    let many = (0..<300).map { "{\"text\": \"a\", \"key\($0)\": 1}" }
    #expect(try encode(many).summary.unusedKeys.count == 100)
}

@Test func whatTheTemplateLeavesOutIsTold() throws {
    let user = #"{"role": "user", "content": "q"}"#
    func line(_ answers: String..., more: String = "") -> String {
        "{\"messages\": [" + answers.map { "\(user), \($0)" }.joined(separator: ", ") + "]\(more)}"
    }
    let (plain, empty) = (#"{"role": "assistant", "content": "a"}"#, #"{"role": "assistant", "content": ""}"#)
    let thinking = #"{"role": "assistant", "content": "a", "reasoning_content": "\nhmm\n"}"#
    let lines = [
        line(plain), line(thinking), line(thinking, plain), line(plain, thinking, more: #", "tools": [{"name": "f"}]"#),
        line(plain, empty),
    ]
    let summary = try encode(lines).summary
    #expect(summary.remarkCounts == [.reasoningLeftOut: 2, .toolsLeftOut: 1, .emptyAnswer: 1])
    #expect(
        summary.remarks == [
            "\(summary.source): the chat template leaves out the reasoning of the last answer in 2 records, so that it is"
                + " not learnt (the first: \(summary.source):2)",
            "\(summary.source): the chat template leaves out the tools of 1 record (the first: \(summary.source):4)",
            "\(summary.source): an answer is empty in 1 record, so that the model learns to say nothing there (the first:"
                + " \(summary.source):5)",
        ])
    for template in ["qwen3", "qwen3-training"] {
        let kept = try encode(lines, template: try Fixtures.template(template)).summary
        #expect(kept.remarkCounts == [.emptyAnswer: 1], "\(template)")
    }
}

@Test func examplesLongerThanTheModelWasMadeForAreTold() throws {
    let lines = [#"{"input_ids": [1, 2, 3, 4]}"#, #"{"input_ids": [1, 2, 3]}"#, #"{"input_ids": [1, 2, 3, 4, 5]}"#]
    func remarks(_ length: Int?, _ options: EncodingOptions = EncodingOptions()) throws -> [String] {
        let summary = try encode(lines, options, contextLength: length).summary
        return summary.remarks.map { String($0.dropFirst(summary.source.count + 2)) }
    }
    #expect(try remarks(3) == ["2 examples are longer than the 3 tokens that the model was made for"])
    #expect(try remarks(4) == ["1 example is longer than the 4 tokens that the model was made for"])
    #expect(try remarks(5).isEmpty && remarks(nil).isEmpty)
    #expect(try remarks(3, EncodingOptions(maxLength: 3, truncation: .truncate)).isEmpty)
}

@Test func sourcesAreAppended() throws {
    var dataset = EncodedDataset()
    let encoder = ExampleEncoder(tokenizer: nil, template: nil)
    let first = try TemporaryFile(#"{"input_ids": [1, 2]}"#).reader()
    let second = try TemporaryFile(#"{"input_ids": [3, 4, 5]}"#).reader()
    _ = try encoder.encode(first, into: &dataset)
    _ = try encoder.encode(second, into: &dataset)
    #expect(dataset.count == 2)
    #expect(dataset.source(of: 0) == first.path)
    #expect(dataset.source(of: 1) == second.path)
}
