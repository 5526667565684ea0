"""What goes wrong elsewhere between a provider's answer and the client: the second half of `mistakes`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.providers.mistakes import Mistake, caught

ANSWERING: Mapping[int, Mistake] = {
    57: caught(
        "HTTP 200 is success.",
        "providers/test_onemin.py::test_what_a_failure_means_for_money",
        "providers/test_openai.py::test_an_error_inside_a_200_counts_by_its_code",
        "providers/test_modelverse.py::test_an_error_means_the_same_with_its_status_and_with_200",
    ),
    58: caught(
        "202 is a picture, or an error.",
        "providers/test_apiframe.py::test_a_job_runs_from_its_prompt_to_its_picture",
    ),
    59: caught(
        "A status in other letters, or a new one, ends a job.",
        "providers/test_apiframe.py::test_a_status_that_is_no_end_is_looked_at_again",
        "providers/test_onemin.py::test_without_a_signed_address_the_results_key_is_tried",
    ),
    60: caught(
        "An error is always an object with a message.",
        "providers/test_failures.py::test_a_complaint_is_found_in_every_envelope",
        "providers/test_contract.py::test_no_answer_whatsoever_makes_an_adapter_raise",
    ),
    61: caught(
        "A job that is not in the books right after it was accepted is lost.",
        "providers/test_apiframe.py::test_books_that_lag_behind_are_looked_at_again",
        "gateway/test_submission.py::test_trouble_while_looking_at_a_job_never_fails_it",
    ),
    62: caught(
        "A submission that timed out is sent again, and paid for twice.",
        "providers/test_transport_repeats.py::test_submission_is_never_repeated",
        "gateway/test_submission.py::test_what_a_break_means_follows_from_its_stage",
    ),
    63: caught(
        "A webhook is checked over what was parsed, or completes a job a second time.",
        "providers/test_apiframe_webhooks.py::test_a_body_written_anew_is_another_body",
        "gateway/test_webhooks.py::test_two_notices_end_a_job_once",
    ),
    64: caught(
        "A job is lost because its webhook was signed with a key that has been changed since.",
        "gateway/test_webhooks.py::test_a_notice_that_is_lost_or_signed_with_a_rotated_key_costs_time_alone",
    ),
    65: caught(
        "A provider's address, which soon expires, is handed to the client.",
        "gateway/test_journeys.py::test_no_provider_key_or_address_reaches_the_client",
        "gateway/test_signing.py::test_a_signed_name_is_good_until_it_expires_and_not_a_second_longer",
    ),
    66: caught(
        "created is whatever the provider wrote: milliseconds, a date, another name.",
        "gateway/test_created.py::test_an_answer_was_created_in_whole_seconds_of_our_own_clock",
    ),
    67: caught(
        "A 502 of ours makes the client's library buy twice more.",
        "normalization/test_vocabulary.py::test_only_refusals_under_load_ask_for_a_retry_among_provider_failures",
        "gateway/test_misbehaviour.py::"
        "test_an_answer_that_cannot_be_read_may_have_cost_money_and_is_never_bought_again",
    ),
    68: caught(
        "The first part of a model's id with slashes is taken for a provider.",
        "gateway/test_routing.py::test_an_exact_name_beats_an_alias_beats_a_glob",
        "gateway/test_door.py::test_models_are_listed_found_and_described",
    ),
    69: caught(
        "A forced provider that lacks the model is passed over for another.",
        "gateway/test_routing.py::test_what_means_nothing_is_not_found",
        "gateway/test_fallback.py::test_a_forced_provider_has_no_fallback",
    ),
    70: caught(
        "A client that leaves frees a place at a worker that is still rendering.",
        "gateway/test_clients_that_leave.py::test_who_leaves_gives_no_place_at_the_provider_away_and_loses_no_picture",
    ),
    71: caught(
        "A client's error holds a provider's key, address, or request id in the place of a parameter.",
        "providers/test_failures.py::test_nothing_that_a_provider_wrote_reaches_the_client",
        "providers/test_contract.py::test_a_key_that_a_provider_echoes_is_told_to_nobody",
        "providers/test_modelverse.py::test_a_request_id_in_the_place_of_a_parameter_is_never_shown",
    ),
    72: caught(
        "A provider's 401 makes the client think that its own key is wrong.",
        "providers/test_failures.py::test_a_bare_status_has_one_meaning",
        "normalization/test_vocabulary.py::test_every_error_is_in_the_drawing_with_its_status_and_code",
    ),
    73: caught(
        "Ten large pictures in base64 fill the memory.",
        "providers/test_bodies.py::test_reply_beyond_the_limit_is_given_up_at_once",
        "providers/test_bodies.py::test_reply_of_megabytes_is_held_once",
    ),
    74: caught(
        "Many jobs that are looked at side by side exceed a provider's requests a minute.",
        "gateway/test_webhooks.py::test_fifty_jobs_stay_far_below_five_hundred_looks_a_minute",
    ),
}
