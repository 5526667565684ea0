"""What goes wrong elsewhere in asking for pictures: mistakes that a naive gateway makes, each with the tests that would
catch it here, or with the reason why it cannot be made here. `mistakes_answering` goes on with the answers.

A test is named by its file below tests/ and its function; one that is parametrised, by the function alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NONE_FETCHES_YET = "no provider that fetches input pictures itself is asked to edit yet"
"""The one place to change when one is: each entry with it then needs tests."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """`wrong`: what a naive gateway does. Either `tests` or `because` it cannot happen here."""

    wrong: str
    tests: tuple[str, ...] = ()
    because: str = ""


def caught(wrong: str, *tests: str) -> Mistake:
    return Mistake(wrong, tests=tests)


def cannot(wrong: str, because: str) -> Mistake:
    return Mistake(wrong, because=because)


SIZES: Mapping[int, Mistake] = {
    1: caught(
        "An encoder quality goes into a field whose scale runs the other way.",
        "providers/test_modelverse.py::test_an_encoder_quality_is_never_sent_to_a_field_that_means_its_opposite",
        "normalization/test_output.py::test_encoder_quality_goes_to_whoever_encodes",
    ),
    2: caught(
        "Rounding to even makes 3:4 at 1K 886 pixels wide instead of 887.",
        "normalization/test_table.py::test_the_nine_sizes_that_are_published_for_1k",
        "normalization/test_table.py::test_the_formula_rounds_half_up_height_first",
    ),
    3: caught(
        "Portrait sizes are landscape ones with the sides swapped, which they are not.",
        "normalization/test_table.py::test_the_nine_sizes_that_are_published_for_1k",
    ),
    4: caught(
        "A size in lowest terms, such as 455:256, is sent as a ratio that no provider offers.",
        "providers/test_values_elsewhere.py::test_a_ratio_on_the_wire_is_one_of_the_models_own_words",
        "normalization/test_table.py::test_the_nearest_ratio_in_real_lists",
    ),
    5: caught(
        "1024X1024, 1024*1024 and 1024 are guessed at, and 16:9 as a size is refused.",
        "normalization/test_shape_values.py::test_a_malformed_size_is_refused_by_name",
        "normalization/test_shape_values.py::test_ratios_are_read_exactly",
    ),
    6: caught(
        "A size below every provider's least, such as 1x1, fails there.",
        "gateway/test_journeys.py::test_the_size_asked_for_is_the_size_delivered",
        "normalization/test_promises.py::test_a_grid_is_asked_for_the_next_size_up_so_that_only_cutting_is_left",
    ),
    7: caught(
        "size beside aspect_ratio or resolution is an error, or wins without a word.",
        "normalization/test_shaping.py::test_the_more_specific_shape_wins_and_the_rest_is_named",
        "normalization/test_planner_shape.py::test_superseded_parameters_are_noted_last",
    ),
    8: caught(
        "A ratio written as size makes the resolution beside it forgotten.",
        "normalization/test_shaping.py::test_a_shape_that_agrees_with_itself_is_said_in_full",
        "providers/test_apiframe.py::test_what_is_beyond_the_pixels_is_asked_for_by_name",
    ),
    9: caught(
        "size auto overrules the resolution beside it.",
        "normalization/test_shaping.py::test_a_shape_that_agrees_with_itself_is_said_in_full",
    ),
    10: caught(
        "The nearest ratio is delivered as if it were the one asked for.",
        "normalization/test_geometry.py::test_a_named_ratio_is_the_nearest_and_comes_uncropped",
        "normalization/test_promises.py::test_where_only_ratios_are_named_the_nearest_is_taken_and_cut",
    ),
    11: caught(
        "Pixels are sent beside a named ratio, and ignored there.",
        "providers/test_apiframe.py::test_exact_pixels_are_asked_for_as_custom",
        "simulators/test_simulators.py::test_apiframe_drops_pixels_that_are_not_custom",
    ),
    12: caught(
        "A resolution is sent beside custom pixels, or spelled without its space and unit.",
        "providers/test_apiframe.py::test_exact_pixels_are_asked_for_as_custom",
        "providers/test_apiframe.py::test_what_is_beyond_the_pixels_is_asked_for_by_name",
    ),
    13: caught(
        "Pixels are snapped to the nearest grid step, which is too small to cut from.",
        "normalization/test_promises.py::test_a_grid_is_asked_for_the_next_size_up_so_that_only_cutting_is_left",
        "normalization/test_promises.py::test_an_offer_covers_wherever_the_grid_can",
    ),
    14: caught(
        "The size asked of the provider is told to the caller without a look at the picture.",
        "gateway/test_misbehaviour.py::test_a_wrong_size_is_repaired_and_reported",
        "gateway/test_fallback.py::test_enlarging_is_noted_for_a_ratio_as_for_a_size",
    ),
    15: caught(
        "A size that is off the model's grid is cut there in silence.",
        "providers/test_flux_worker.py::test_every_size_asked_for_is_one_that_the_worker_takes",
        "providers/test_values_elsewhere.py::test_pixels_on_the_wire_are_on_the_models_grid_and_within_its_bounds",
    ),
    16: caught(
        "A size outside a model's bounds on side, area or ratio is sent all the same.",
        "providers/test_values_elsewhere.py::test_pixels_on_the_wire_are_on_the_models_grid_and_within_its_bounds",
        "normalization/test_promises.py::test_bounds_on_area_and_ratio_are_kept_by_asking_for_more",
    ),
    17: caught(
        "match_input_image is passed on where there is no input image.",
        "normalization/test_shaping.py::test_only_an_edit_has_an_input_to_match",
    ),
    18: caught(
        "The ratio of a phone's photo is taken before it is turned upright.",
        "normalization/pictures/test_picture_inspecting.py::test_orientation_is_read_and_the_size_is_as_seen",
        "normalization/pictures/test_picture_finishing.py::test_a_turned_picture_is_fitted_as_it_is_seen",
        "gateway/test_codecs.py::test_an_input_picture_can_be_turned_upright_in_a_child",
    ),
    19: caught(
        "A resolution between two tiers is drawn by lot, and one beyond the model fails.",
        "normalization/test_table.py::test_the_nearest_tier_and_its_ties",
        "normalization/test_geometry.py::test_a_wish_beyond_a_grid_is_scaled_down_and_never_enlarged",
        "normalization/test_geometry.py::test_a_tier_is_the_nearest_that_the_provider_has_a_word_for",
    ),
    20: caught(
        "1792x1024 is taken for 16:9 and delivered in other pixels.",
        "normalization/test_table.py::test_the_nearest_ratio_in_real_lists",
        "normalization/test_promises.py::test_of_a_few_sizes_the_nearest_that_covers_is_taken",
    ),
}

COUNTS: Mapping[int, Mistake] = {
    21: caught(
        "Ten at four a call buys twelve, and a short answer stays short.",
        "providers/test_modelverse.py::test_ten_pictures_are_four_four_and_two",
        "gateway/test_dispatch.py::test_missing_pictures_alone_are_asked_for_again_and_only_once",
    ),
    22: caught(
        "One seed in several calls makes several identical pictures.",
        "providers/test_contract.py::test_pictures_of_one_seeded_request_differ_in_their_seed_alone",
        "gateway/test_journeys.py::test_with_a_seed_every_picture_is_another_and_can_be_made_again",
    ),
    23: caught(
        "Picture k of a batch is said to have seed s + k where it has not.",
        "providers/test_flux_worker.py::test_without_a_seed_a_batch_is_made_at_once_and_with_one_each_picture_alone",
    ),
    24: caught(
        "A seed of -1 reaches a provider to which it is a number, or 0 is taken for none.",
        "providers/test_values_elsewhere.py::test_a_seed_of_nought_is_a_seed_and_a_random_one_is_left_to_the_provider",
        "providers/test_modelverse.py::test_seeded_pictures_are_made_one_a_call_and_minus_one_is_never_sent",
    ),
    25: caught(
        "A seed beyond 32 bits is refused upstream, or reduced without a word.",
        "normalization/test_reading.py::test_seeds_are_reduced_and_minus_one_is_random",
        "normalization/test_planner_count.py::test_a_seed_is_reported_with_a_note_only_when_it_had_to_be_reduced",
    ),
    26: caught(
        "Pictures come in the order in which their calls end.",
        "gateway/test_dispatch.py::test_the_order_of_pictures_is_the_order_asked_for",
    ),
    27: caught(
        "One failed call throws the paid pictures of the others away.",
        "gateway/test_dispatch.py::test_a_failed_sibling_discards_no_picture_already_paid_for",
        "gateway/test_misbehaviour.py::test_a_failed_sibling_leaves_a_partial_answer",
        "gateway/test_dispatch.py::test_the_error_reported_is_the_one_that_says_most",
    ),
    28: caught(
        "A split request is estimated as one call.",
        "normalization/test_planner.py::test_the_estimate_counts_the_split",
        "normalization/test_plan.py::test_ten_pictures_in_three_calls_cost_what_each_way_of_pricing_says",
        "gateway/test_dispatch.py::test_an_unknown_charge_makes_the_cost_unknown",
    ),
}

FORMATS: Mapping[int, Mistake] = {
    29: caught(
        "jpeg is sent to those who say jpg, or jpg to an encoder that says jpeg.",
        "providers/test_values_elsewhere.py::test_jpeg_goes_by_the_providers_own_word_and_png_where_it_has_none",
        "normalization/test_reading.py::test_jpg_is_jpeg_and_the_callers_word_is_kept",
    ),
    30: caught(
        "A format that this one model lacks is sent because its sibling has it.",
        "providers/test_onemin.py::test_values_are_clamped_or_translated_and_only_losses_are_noted",
        "simulators/test_simulators.py::test_onemin_takes_the_values_of_its_page_alone",
    ),
    31: caught(
        "A picture is what its name or its Content-Type says.",
        "gateway/test_misbehaviour.py::test_a_wrong_format_is_repaired_and_reported",
        "normalization/pictures/test_picture_sniffing.py::test_each_format_is_known_by_what_an_encoder_writes",
    ),
    32: caught(
        "Transparency turns black in a jpeg.",
        "gateway/test_respx_journeys.py::test_what_is_transparent_is_laid_on_white_for_jpeg_and_the_caller_is_told",
        "providers/test_openai.py::test_transparency_for_a_format_without_it_is_flattened_here",
    ),
    33: caught(
        "A quality beside png is an error.",
        "normalization/test_output.py::test_a_format_without_quality_ignores_it_with_a_note",
    ),
    34: caught(
        "A picture is lossily encoded by the provider, and then again here.",
        "normalization/test_output.py::"
        "test_the_format_named_is_delivered_and_never_encoded_twice_where_png_is_to_be_had",
        "normalization/test_output.py::test_png_is_asked_for_where_we_shall_cut",
    ),
    35: caught(
        "A data: URI in the place of base64 is handed on as base64.",
        "gateway/test_misbehaviour.py::test_a_data_uri_where_base64_was_due_is_read",
        "providers/test_replies.py::test_every_spelling_of_base64_is_the_same_bytes",
    ),
    36: caught(
        "response_format is forwarded to models that refuse it.",
        "providers/test_contract.py::test_how_the_answer_travels_is_never_the_providers_business",
    ),
    37: caught(
        "A picture longer than its format can hold fails inside the encoder.",
        "normalization/pictures/test_picture_encoding.py::test_a_side_that_the_format_cannot_hold_is_named",
    ),
}

PICTURES: Mapping[int, Mistake] = {
    38: cannot("An address that only the client can reach is handed to a provider to fetch.", NONE_FETCHES_YET),
    39: caught(
        "A picture goes into the field that wants the key of an upload.",
        "providers/test_contract_edits.py::test_edits_are_those_on_record",
        "gateway/test_submission.py::test_an_upload_is_followed_by_the_submission",
    ),
    40: caught(
        "Of several pictures all but the first are lost in silence.",
        "providers/test_contract_edits.py::test_more_pictures_than_a_model_takes_are_an_obstacle_and_not_cut",
        "providers/test_contract_edits.py::test_every_picture_is_carried_once_and_in_order",
    ),
    41: caught(
        "A picture goes to the model or the field of another number of pictures.",
        "providers/test_contract_edits.py::test_edits_are_those_on_record",
        "providers/test_documented.py::test_a_value_of_an_edit_stands_where_the_page_says_or_nowhere",
    ),
    42: caught(
        "image, image[] and numbers as text confuse the reader of a form.",
        "gateway/test_multipart.py::test_every_name_of_a_picture_is_one",
        "gateway/test_multipart.py::test_a_form_is_read_in_order_whatever_its_slices",
        "normalization/test_values.py::test_numbers_may_be_spelled_as_people_do",
    ),
    43: caught(
        "A mask is ignored where a provider has no field for it.",
        "providers/test_contract_edits.py::"
        "test_a_mask_is_sent_where_there_is_a_field_for_it_and_laid_here_where_there_is_none",
    ),
    44: caught(
        "An address that a client names is fetched from inside the network.",
        "providers/test_fetch.py::test_no_spelling_leads_to_this_machine",
        "providers/test_fetch.py::test_resolver_that_changes_its_mind_cannot_move_a_checked_connection",
        "normalization/test_reading.py::test_a_reserved_key_is_refused_wherever_it_is_written",
    ),
    45: caught(
        "A signed address is fetched with a credential, or with its query written anew.",
        "providers/test_fetch.py::test_signed_url_arrives_to_the_letter",
        "providers/test_fetch_redirects.py::test_key_is_not_sent_to_the_host_that_serves_the_picture",
    ),
}

PARAMETERS: Mapping[int, Mistake] = {
    46: caught(
        "Guidance is rescaled from one model's range to another's.",
        "normalization/test_rules.py::test_a_number_out_of_the_providers_range_is_clamped_with_a_note",
        "providers/test_onemin.py::test_values_are_clamped_or_translated_and_only_losses_are_noted",
    ),
    47: caught(
        "Guidance is sent to a field of a like name that means another quantity.",
        "providers/test_values_elsewhere.py::test_guidance_is_never_sent_as_another_quantity",
    ),
    48: caught(
        "One number of steps is right for every model.",
        "providers/test_flux_worker.py::test_a_quality_is_a_preset_of_steps",
        "providers/test_onemin.py::test_the_same_thing_goes_by_each_models_own_name",
    ),
    49: caught(
        'Safety is loosened by a conversion between scales, and "6" is no number.',
        "providers/test_contract.py::test_safety_is_never_loosened_in_silence",
        "normalization/test_rules.py::test_a_clamped_number_is_in_range_and_noted_exactly_when_changed",
        "providers/test_onemin.py::test_values_are_clamped_or_translated_and_only_losses_are_noted",
    ),
    50: caught(
        "false is swallowed as a default where the provider's default is true, and a rewritten prompt stays untold.",
        "providers/test_values_elsewhere.py::test_upsampling_is_said_either_way_where_a_model_has_a_word_for_it",
        "providers/test_replies.py::test_what_comes_with_a_picture_is_kept_where_it_is_of_its_kind",
    ),
    51: caught(
        "A negative prompt has no effect, and nobody is told.",
        "providers/test_flux_worker.py::test_a_negative_prompt_comes_with_the_scale_that_makes_it_count",
        "providers/test_flux_worker.py::test_a_distilled_model_is_told_neither_guidance_nor_what_to_avoid",
        "providers/test_apiframe.py::test_what_flux_2_max_lacks_is_said_and_not_sent",
    ),
    52: caught(
        "An unknown parameter makes a strict provider refuse the whole request.",
        "providers/test_flux_worker.py::test_an_unknown_parameter_is_never_sent_because_the_worker_would_refuse_all",
        "normalization/test_planner_extras.py::test_extras_are_dropped_with_a_note_for_those_that_reject_them",
    ),
    53: caught(
        "What is meant for one provider reaches the next on fallback.",
        "normalization/test_planner_extras.py::test_options_for_this_provider_are_merged_last_and_others_not_at_all",
    ),
    54: caught(
        '"42", 1.0 and null are refused, or forwarded as they are.',
        "normalization/test_values.py::test_integers_may_be_spelled_as_whole_decimals",
        "normalization/test_reading.py::test_null_is_not_said",
        "normalization/test_reading.py::test_a_providers_own_options_reach_it_without_their_nulls",
    ),
    55: caught(
        "A prompt is refused upstream for its length although another route takes it.",
        "providers/test_apiframe.py::test_prompts_longer_than_the_page_allows_are_for_another_route",
        "normalization/test_planner.py::test_why_a_model_cannot_serve_a_request_at_all",
    ),
    56: caught(
        "A prompt carries instructions that the server obeys.",
        "providers/test_openai.py::test_a_prompt_cannot_carry_instructions_to_the_server",
    ),
}

ASKING: Mapping[int, Mistake] = {**SIZES, **COUNTS, **FORMATS, **PICTURES, **PARAMETERS}
