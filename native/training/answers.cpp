// specdiff-answers: the target's answers to many prompts at once.
// Reads lines:  answer ID MAX_TOKENS TEMPERATURE SEED TOKEN…   and   stop ID   (the caller's stop rules ended it).
// Writes lines: token ID TOKEN BYTES_IN_HEX   and   end ID endOfText|maxTokens; an end token is the last `token` line.
#include "answer_writer.h"
#include "line_queue.h"
#include "program.h"

#include "../core/error.h"

#include <cstdio>
#include <iostream>
#include <sstream>

namespace {

using namespace specdiff;
using namespace specdiff::training;

std::string hex(const std::string& bytes) {
    static const char* digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte / 16];
        text += digits[byte % 16];
    }
    return text;
}

void obey(const std::string& line, AnswerWriter& writer) {
    std::istringstream words(line);
    std::string verb, id;
    words >> verb >> id;
    if (verb == "stop") return writer.stop(id);
    AnswerRequest request;
    request.id = id;
    words >> request.max_tokens >> request.temperature >> request.seed;
    if (verb != "answer" || !words) throw Error("This line is no request: " + line.substr(0, 80));
    for (int32_t token = 0; words >> token;)
        request.prompt.push_back(token);
    if (!words.eof()) throw Error("Request " + id + " holds something that is no token.");
    writer.add(std::move(request));
}

void work(const Options& options, Model model) {
    ThreadPool threads(options.threads);
    const Vocabulary vocabulary(model.get());
    BatchContext context(std::move(model), threads, options.sequences, options.context_tokens, {});
    AnswerEvents events;
    events.on_token = [&](const std::string& id, int32_t token) {
        std::cout << "token " << id << ' ' << token << ' ' << hex(vocabulary.piece(token)) << '\n';
    };
    events.on_end = [&](const std::string& id, AnswerEnd end) {
        std::cout << "end " << id << (end == AnswerEnd::end_of_text ? " endOfText" : " maxTokens") << '\n';
    };
    AnswerWriter writer(context, vocabulary, options.sequences, events);
    LineQueue input;
    while (true) {
        auto line = input.next(writer.idle());
        if (!line && writer.idle()) return;
        for (; line; line = input.next(false))
            obey(*line, writer);
        writer.pass();
        std::cout.flush();
        if (!std::cout) throw Error("The answers can't be written: whoever read them has gone, or the disk is full.");
    }
}

} // namespace

int main(int count, char** values) {
    return specdiff::training::run_program(count, values, work);
}
