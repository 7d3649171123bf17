"""What people expect of such a program, as a table: each expectation, and the tests that show it is met.

The expectations were collected from complaints and wishes in the issue trackers of viewers, trainers and attack
libraries. This file checks that the named tests exist; `make test` and `make test-long` run them.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

EXPECTATIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "files are opened by drop, menu, dialog and command line; a wrong one is a sentence": {
        "app/test_window_library.py": (
            "test_a_mesh_is_opened_by_a_drop_and_again_from_the_recent_files",
            "test_a_file_is_chosen_in_the_dialog",
            "test_a_folder_of_class_folders_becomes_the_dataset",
            "test_a_damaged_file_gives_one_message_and_the_scene_stays",
        ),
        "app/test_window.py": (
            "test_the_program_opens_the_files_it_was_given",
            "test_a_file_is_opened_through_the_menu_by_keys",
        ),
        "app/test_window_import.py": ("test_weights_of_a_known_pointnet_are_dropped_and_attacked",),
        "app/test_window_files.py": ("test_a_folder_of_clouds_is_opened_and_each_is_shown_by_a_click",),
    },
    "two clouds side by side turn together": {
        "pixels/test_pair_view.py": (
            "test_linked_views_follow_each_other",
            "test_unlinked_cameras_are_independent_until_linked_again",
            "test_switches_change_the_adversarial_picture_only",
        ),
        "app/test_window_attack.py": ("test_the_cameras_stay_linked_after_a_drag_in_one_view",),
    },
    "one cloud is shown in the place of the other while a key is held": {
        "pixels/test_pair_view.py": (
            "test_the_clean_cloud_is_shown_in_the_right_view_while_the_button_or_its_key_is_held",
        ),
    },
    "choices and steps are undone": {
        "app/test_window_undo.py": (
            "test_each_choice_is_taken_back_and_made_again_in_its_order",
            "test_steps_are_taken_back_one_by_one_and_computed_once",
        ),
        "app/test_window_seed.py": ("test_another_seed_gives_another_cloud_and_undo_the_one_before",),
        "app/test_window_steps.py": ("test_the_scrubber_goes_to_any_step",),
    },
    "the picture keeps up with the slider": {
        "app/test_window_attack.py": (
            "test_frames_are_shown_while_the_slider_moves_without_pause",
            "test_an_iterative_attack_is_rescaled_during_the_drag_and_run_after_the_release",
        ),
        "app/test_attack_controller.py": ("test_a_late_frame_is_shown_while_the_slider_moves_on",),
    },
    "everything long has progress, time left and a way to end it": {
        "app/test_jobstrip.py": (
            "test_that_it_shows_title_text_and_progress",
            "test_that_the_time_left_is_written_in_words",
            "test_that_cancel_asks_first",
        ),
        "app/test_window_training.py": ("test_the_job_strip_tells_the_speed_of_a_training_and_the_time_that_is_left",),
    },
    "to stop is not to cancel": {
        "app/test_jobs.py": (
            "test_that_stop_and_keep_delivers_the_partial_result",
            "test_that_cancel_closes_the_generator_and_drops_the_result",
        ),
    },
    "before the first number a job says what it does": {
        "app/test_jobstrip.py": ("test_that_a_job_without_progress_shows_its_note",),
        "app/test_start.py": ("test_the_window_is_painted_before_heavy_imports_and_shows_that_it_loads",),
        "app/test_window_training.py": ("test_before_the_first_epoch_a_training_says_that_it_is_prepared",),
    },
    "the options of a training are in sight, and its loss on a logarithmic axis": {
        "app/test_forms.py": (
            "test_that_advanced_fields_are_behind_more_options",
            "test_that_every_set_of_options_of_core_has_a_form",
        ),
        "app/test_curves.py": ("test_a_logarithmic_axis_leaves_out_what_has_no_logarithm",),
    },
    "a t-SNE has a seed, frames, pause, a mark when it is out of date, and exports": {
        "app/test_window_latents.py": (
            "test_a_map_of_clean_and_adversarial_latents_is_made",
            "test_a_map_is_marked_as_stale_after_a_change_of_settings",
            "test_a_map_that_is_stopped_is_kept",
            "test_a_map_is_paused_and_resumed_and_its_caption_names_its_seed",
            "test_the_figure_and_its_coordinates_are_exported",
        ),
        "app/test_jobs.py": ("test_that_a_paused_job_makes_no_step_until_it_is_resumed",),
    },
    "a point that is picked says what it is and opens its cloud": {
        "pixels/test_cloud_view.py": (
            "test_the_point_under_the_mouse_is_highlighted_and_has_a_tooltip",
            "test_of_two_points_in_one_line_of_sight_the_nearer_one_is_picked",
        ),
        "app/test_window_latents.py": (
            "test_a_point_that_is_clicked_opens_its_cloud",
            "test_a_lasso_lists_its_clouds_and_the_search_finds_some",
        ),
        "app/test_scatter.py": ("test_the_tooltip_shows_the_cloud",),
    },
    "pictures of any size, on the clipboard, and as vectors": {
        "pixels/test_pair_view.py": ("test_a_picture_of_any_size_shows_what_the_screen_shows",),
        "app/test_window_library.py": (
            "test_the_picture_of_the_pair_is_exported",
            "test_a_larger_picture_is_chosen_in_the_dialog",
            "test_the_picture_of_the_pair_is_copied",
            "test_as_pdf_or_svg_both_clouds_and_all_confidences_are_drawn",
        ),
    },
    "figures that can be published": {
        "core/test_figures.py": (
            "test_every_figure_is_legible_and_nothing_runs_off_the_page",
            "test_figures_come_back_as_png_of_the_right_size_pdf_and_svg_with_the_class_names",
        ),
        "core/test_evaluation_figures.py": (
            "test_every_figure_is_legible_and_nothing_runs_off_the_page_or_into_each_other",
        ),
    },
    "screens of high density": {
        "pixels/test_cloud_view.py": ("test_a_high_density_screen_shows_the_same_picture",),
        "app/test_theme.py": ("test_every_icon_is_drawn_in_the_colour_asked_for_at_any_density",),
    },
    "a dark theme that is readable": {
        "app/test_theme.py": (
            "test_text_has_enough_contrast_on_every_background",
            "test_class_colours_and_focus_ring_have_enough_contrast",
        ),
        "contracts/test_rooms.py": ("test_that",),
    },
    "classes are told apart without seeing colours": {
        "app/test_theme.py": (
            "test_class_colours_are_made_of_the_published_palette",
            "test_forty_classes_differ_in_colour_or_marker_and_neighbours_in_both",
        ),
        "core/test_figures.py": ("test_no_two_of_forty_classes_look_the_same",),
    },
    "the layout is remembered and can be put back": {
        "app/test_settings.py": (
            "test_that_a_window_outside_of_all_screens_is_moved_onto_one",
            "test_that_a_broken_saved_layout_is_ignored",
            "test_that_a_maximised_window_is_maximised_again",
            "test_that_the_layout_of_another_version_of_the_program_is_ignored_without_a_message",
        ),
        "app/test_window_workspaces.py": (
            "test_workspace_widths_and_drawers_are_there_at_the_next_start",
            "test_the_layout_is_reset",
        ),
    },
    "files that were opened last are at hand": {
        "app/test_settings.py": ("test_that_recent_files_are_newest_first_without_repeats_and_at_most_ten",),
        "app/test_window_library.py": ("test_a_recent_file_that_is_gone_cannot_be_chosen",),
    },
    "after a crash everything is there again": {
        "app/test_window_session.py": ("test_after_a_kill_everything_is_as_it_was",),
        "app/test_window_runs.py": ("test_a_run_of_another_process_is_followed_and_after_a_kill_resumed_to_the_end",),
    },
    "failures are seen and do not shout": {
        "app/test_notify.py": (
            "test_that_only_the_newest_three_stay",
            "test_that_a_repeated_message_is_counted_not_stacked",
            "test_that_every_error_has_a_sentence",
            "test_that_the_log_can_be_copied",
        ),
    },
    "the device is named with its free memory, and memory that runs out says what to lower": {
        "core/test_devices.py": (
            "test_devices_are_described_in_one_line",
            "test_memory_that_ran_out_is_named_with_the_device_what_was_asked_for_and_what_to_lower",
        ),
        "app/test_corner.py": (
            "test_free_memory_follows_the_gpu_and_nothing_beside_it_moves",
            "test_free_memory_is_read_only_while_it_is_on_the_screen",
        ),
    },
    "everything can be done with the keyboard, and the focus is seen": {
        "app/test_window.py": ("test_every_input_has_an_accessible_name",),
        "app/test_window_keyboard.py": (
            "test_tab_goes_through_the_parts_in_their_order_and_shift_tab_back",
            "test_f6_goes_from_part_to_part_and_shift_f6_back",
            "test_every_stop_shows_that_it_has_the_focus",
        ),
        "app/test_window_dialogs.py": (
            "test_it_has_a_title_every_field_a_name_tab_goes_as_one_reads_and_escape_closes_it",
            "test_enter_does_what_is_usual_there",
        ),
        "pixels/test_cloud_view.py": ("test_keyboard_focus_is_shown_by_a_frame",),
        "app/test_actions.py": ("test_that_the_shortcut_page_lists_every_key_and_gesture",),
    },
    "any action is found by a few letters": {
        "app/test_palette.py": ("test_that_a_few_letters_find_the_action",),
    },
    "numbers have units, also in tooltips": {
        "app/test_forms.py": ("test_that_every_editor_has_a_name_a_description_and_a_tooltip_with_its_limits",),
        "app/test_epsilon.py": ("test_hovering_shows_both_units_and_every_model",),
        "app/test_window_budget.py": ("test_the_budget_of_a_box_is_shown_in_every_unit",),
    },
    "a number can be typed, finer than a slider's steps, and the wheel changes none by accident": {
        "app/test_epsilon.py": (
            "test_a_number_can_be_typed",
            "test_a_typed_number_may_be_finer_than_the_sliders_steps",
            "test_the_wheel_changes_only_a_focused_widget",
            "test_what_is_no_number_of_the_scale_is_refused_with_what_is_accepted",
        ),
    },
    "a command line does the same, and the window gives the command": {
        "app/test_window_command.py": (
            "test_the_command_of_a_library_shape_repeats_its_attack",
            "test_the_command_of_a_training_has_its_options_its_dataset_and_a_new_folder",
            "test_each_model_of_an_evaluation_has_a_command_with_its_numbers",
            "test_the_command_of_a_map_makes_the_same_map",
            "test_the_command_of_a_transfer_experiment_goes_on_with_it",
            "test_the_action_copies_the_command_of_the_shown_workspace",
        ),
        "core/test_words.py": (
            "test_a_training_is_parsed_as_it_was_chosen",
            "test_an_attack_is_parsed_as_it_was_chosen",
            "test_an_evaluation_is_parsed_as_it_was_chosen",
            "test_a_map_is_parsed_as_it_was_chosen",
            "test_a_transfer_experiment_is_parsed_as_it_was_chosen",
            "test_what_no_command_can_say_is_refused_with_a_sentence",
        ),
        "app/test_window_seed.py": ("test_the_copied_command_has_the_seed_and_makes_the_same_cloud",),
        "app/test_window_library.py": ("test_the_copied_command_repeats_the_attack",),
    },
    "log, version and diagnostics can be copied": {
        "app/test_window.py": (
            "test_about_tells_the_version",
            "test_the_diagnostics_are_copied_as_they_are_shown",
        ),
        "app/test_plain_text.py": ("test_the_diagnostics_show_a_path_literally",),
        "core/test_cli.py": ("test_the_doctor_names_versions_devices_and_models",),
    },
    "the first start shows an attacked shape and what to do": {
        "app/test_window_attack.py": ("test_the_three_shipped_models_give_their_verdicts",),
        "app/test_window.py": ("test_the_first_steps_open_by_their_key_name_keys_that_there_are_and_close_by_escape",),
        "app/test_tour.py": ("test_the_report_lists_all_steps_in_order_and_no_error",),
        "app/test_window_runs.py": ("test_at_the_first_start_the_list_says_what_will_be_there",),
    },
    "other programs read the files": {
        "core/test_cloud_files.py": (
            "test_open3d_reads_the_points_and_normals_of_a_written_ply_and_its_displacement_as_a_scalar",
        ),
        "app/test_window_library.py": ("test_an_exported_cloud_that_is_opened_again_has_the_same_predictions",),
    },
    "a result can be made again": {
        "core/test_records.py": ("test_provenance_tells_what_made_a_result",),
        "core/test_figures.py": ("test_the_same_figure_gives_the_same_bytes",),
        "core/test_live.py": (
            "test_the_seed_changes_those_attacks_alone_that_say_so",
            "test_an_attack_on_a_random_defence_is_repeated_by_its_seed_also_one_that_is_continued",
        ),
        "core/test_tsne.py": ("test_the_same_seed_gives_the_same_map",),
    },
}


@cache
def functions(file: str) -> frozenset[str]:
    """Names of all functions and methods of a test file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("expectation", EXPECTATIONS)
def test_an_expectation_has_its_tests(expectation: str) -> None:
    for file, names in EXPECTATIONS[expectation].items():
        missing = set(names) - functions(file)
        assert not missing, f"{file} has no {', '.join(sorted(missing))}"
