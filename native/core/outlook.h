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
/** A token of a block joined with the lookup. */
inline const std::string JOINT = "joint";
/** A looked-up token behind the block's last slot. */
inline const std::string NGRAM_BEYOND = "ngram/beyond";

/**
 * Class of a lookup: 1, 2, 3 matched tokens; 4 for 4–7; from 8 on by how many drafts before it were accepted whole:
 * 5 none, 6 one, 7 more. Of a turn of phrase: 8 for one token, 10, 12, 14; one more where it is sure.
 */
int of_match(const Lookup::Match& match, int streak);
/** Class of a slot: how far its best logit is above the second, in eight steps. */
int of_slot(double margin);
/** Class of a token whose chance is known by itself, in tenths: what that chance turns out to be worth. */
int of_chance(double chance);

/** What a greedy job's chance of acceptance is worth in a job that draws. */
double sampled(double chance, bool greedy);
/** Chance of acceptance before this machine has seen any: cautious guesses, not fitted; a few passes replace them. */
double prior(const std::string& source, int outlook, bool greedy);

} // namespace specdiff::outlook
