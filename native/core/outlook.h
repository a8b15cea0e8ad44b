#pragma once

#include "lookup.h"

#include <string>

namespace specdiff::outlook {

/** Sources of drafted tokens besides the drafters themselves. */
inline const std::string NGRAM = "ngram";
inline const std::string DIFFUSION = "diffusion";
inline const std::string CAUSAL = "causal";
inline const std::string SEDD = "sedd";
inline const std::string MDLM = "mdlm";
/** Tokens of such a draft that were there before its last step: they are point masses, the others are drawn. */
inline const std::string SEDD_EARLY = "sedd/early";
inline const std::string MDLM_EARLY = "mdlm/early";
/** A looked-up token that the drafter would not have chosen. */
inline const std::string NGRAM_AGAINST = "ngram/against";
/** A looked-up token behind the drafter's last slot, all slots before it having agreed with the lookup. */
inline const std::string NGRAM_BEYOND = "ngram/beyond";

/** How a drafter's slot stands to the looked-up token of its place. */
enum class Agreement { alone, agrees, differs };

/**
 * Class of a lookup: 1, 2, 3 matched tokens; 4 for 4–7; from 8 on by how many drafts before it were accepted whole:
 * 5 none, 6 one, 7 more. Of a turn of phrase: 8 for one token, 10, 12, 14; one more where it is sure.
 */
int of_match(const Lookup::Match& match, int streak);
/**
 * Class of what a drafter's file says of copies: matches of 1, 2, 3 and more tokens, phrases known by 1 to 4. (Training
 * looks up by three tokens at most, as slots start.)
 */
int of_copy(const Lookup::Match& match);
inline constexpr int COPY_CLASSES = 3 + Phrases::LONGEST;
/** Class of a slot: how far its best logit is above the second, in eight steps, and what the lookup says. */
int of_slot(double margin, Agreement agreement);

/** What a greedy job's chance of acceptance is worth in a job that draws. */
double sampled(double chance, bool greedy);
/** Chance of acceptance before this machine has seen any: cautious guesses, not fitted; a few passes replace them. */
double prior(const std::string& source, int outlook, bool greedy);

} // namespace specdiff::outlook
