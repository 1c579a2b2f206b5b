"""Hints on names of hyperparameters that other programs use, and that this image doesn't accept.

The names are those of Hugging Face's Trainer and its SageMaker examples, of SageMaker's BlazingText, JumpStart and
AutoGluon, of Keras, spaCy, fastText, PyTorch Lightning and scikit-learn.
"""

from collections.abc import Iterator, Mapping

# Names with the same meaning as one of ours, by our name.
_SAME: Mapping[str, str] = {
    "epochs": "num_train_epochs num_epochs n_epochs max_epochs nb_epoch nb_epochs train_epochs training_epochs n_iter "
    "num_iterations iterations",
    "batch_size": "per_device_train_batch_size per_gpu_train_batch_size per_device_batch_size train_batch_size "
    "training_batch_size mini_batch_size minibatch_size env_per_gpu_batch_size per_gpu_batch_size bs",
    "learning_rate": "base_lr base_learning_rate initial_learning_rate init_lr max_lr peak_lr encoder_lr "
    "learn_rate optim_lr optimization_learning_rate",
    "optimizer": "optim optimizer_type optimizer_name optim_type",
    "beta_1": "adam_beta1 beta1 adam_beta_1",
    "beta_2": "adam_beta2 beta2 adam_beta_2",
    "epsilon": "adam_epsilon adam_eps",
    "momentum": "sgd_momentum",
    "warmup_steps_fraction": "warmup_ratio warmup_proportion warmup_fraction lr_warmup_ratio",
    "early_stopping": "use_early_stopping do_early_stopping early_stop",
    "early_stopping_patience": "patience early_stop_patience n_iter_no_change",
    "early_stopping_min_delta": "early_stopping_threshold min_delta early_stopping_tolerance",
    "time_budget": "time_limit",
    "dropout_rate": "hidden_dropout_prob classifier_dropout seq_classif_dropout dropout_prob dropout_p drop_rate "
    "head_dropout",
    "train_only_top_layer": "freeze_encoder freeze_base freeze_base_model freeze_backbone freeze_bert freeze "
    "train_head_only head_only feature_extraction linear_probe linear_probing",
    "validation_split_ratio": "validation_split val_split val_ratio validation_ratio validation_size val_size "
    "eval_ratio eval_split_ratio dev_ratio holdout_frac holdout_fraction test_split test_size train_test_split "
    "validation_fraction valid_pct",
    "model_id": "model_name_or_path model_name model_name_or_id pretrained_model pretrained_model_name "
    "pretrained_model_name_or_path base_model base_model_name model_checkpoint checkpoint hf_model_id encoder "
    "encoder_name backbone backbone_name model_type model_path model hub_model_id",
    "max_sequence_length": "max_seq_length max_seq_len max_length maximum_length max_len maxlen max_sequence_len "
    "sequence_length seq_length max_tokens max_token_length max_source_length max_text_len model_max_length n_ctx "
    "block_size",
    "class_weights": "balanced is_balanced_classes balance_classes use_class_weights class_weighting",
    "label_smoothing": "label_smoothing_factor smoothing",
    "gradient_clip_norm": "max_grad_norm clip_norm clipnorm grad_clip gradient_clip gradient_clipping grad_norm "
    "gradient_clip_val grad_clip_norm global_clipnorm max_gradient_norm",
    "encoder_learning_rate_decay": "layerwise_lr_decay layerwise_lr_decay_rate lr_decay layer_decay llrd",
    "eval_metric": "metric_for_best_model eval_metrics metric monitor early_stopping_metric objective_metric",
    "mixed_precision": "precision dtype torch_dtype amp use_amp",
    "jit_compile": "torch_compile use_xla xla enable_xla",
    "vocab_size": "vocabulary_size max_features max_vocab_size num_words max_words",
    "embed_size": "vector_dim embedding_dim embed_dim embedding_size emb_dim emb_size word_embedding_size",
    "hidden_size": "hidden_dim num_hidden hidden_units lstm_units rnn_hidden_size num_filters n_filters filters",
    "n_layers": "num_layers num_lstm_layers lstm_layers rnn_layers",
    "kernel_size": "filter_size filter_sizes kernel_sizes window_size ws",
    "header": "has_header csv_header content_has_header",
    "augmentation": "data_augmentation use_augmentation augmentation_type",
    "seed": "data_seed random_state rng_seed training_seed manual_seed torch_seed",
}  # fmt: skip

_COUNTED = "the labels are counted in the data: leave it out"
_COLUMNS = "columns are recognised by the header: name them label and text, and leave it out"
_CHANNELS = "files are read from the channels `training`, `validation` and `test`: leave it out"
_KEPT = "the model of the best epoch is kept, and checkpoints are always written to /opt/ml/checkpoints: leave it out"
_BY_TIME = "progress is logged automatically, and every epoch is scored: leave it out"
_HARDWARE = "all GPUs and hosts of the job are used automatically: leave it out"
_SPLIT = "batch_size counts the rows of a step on all GPUs and hosts together: set that, and leave it out"
_SCHEDULE = (
    "without learning_rate, a schedule with warm-up and decay is used; optimizer=adamw uses that with any "
    "learning_rate, and epoch_factor lowers the rate in steps"
)
_SCORING = "scoring chooses its own batches: leave it out"
_FILES = "nothing is downloaded: provide the encoder's files on the channel `model`, and leave it out"
_CASE = "it is read from the encoder's tokenizer_config.json: leave it out"
_SUBWORDS = "the vocabulary holds whole words that occur at least twice, up to vocab_size: leave it out"
_TASK = "this image predicts one label per record: leave it out"

# Names without an equivalent, by what to do instead.
_OTHER: Mapping[str, str] = {
    "regularizers_l2 is the L2 penalty on the top layer, and optimizer=adamw decays all weights by 0.01": "decay "
    "weight_decay l2 l2_reg l2_regularization weight_decay_rate reg_lambda l2_penalty optimization_weight_decay",
    "warmup_steps_fraction is the share of all steps, from 0 to 1": "warmup_steps num_warmup_steps warmup_epochs "
    "n_warmup_steps lr_warmup_steps optimization_warmup_steps",
    "set epochs, which is the length of training": "max_steps num_steps total_steps train_steps num_train_steps steps "
    "total_iterations max_iter steps_per_epoch",
    "set mixed_precision to float16": "fp16 half_precision use_fp16 half fp16_opt_level",
    "set mixed_precision to bfloat16": "bf16 use_bf16 tf32",
    _COUNTED: "num_classes n_labels label_count class_count nb_classes nclass output_dim out_features label_names "
    "class_names labels label_list id2label label2id classes",
    _COLUMNS: "label text text_column text_column_name text_col sentence_column input_column label_column "
    "label_column_name label_col target_column target_column_name target_attribute_name target label_key text_key "
    "text_field label_field feature_columns input_columns",
    _CHANNELS: "train_file validation_file test_file train_dir data_dir train_data train_path validation_path "
    "dataset_name dataset dataset_path train_data_dir validation_dir training_dir test_dir eval_file input_path "
    "train valid eval_dir",
    _KEPT: "save_steps save_strategy save_total_limit load_best_model_at_end output_dir overwrite_output_dir "
    "checkpoint_dir checkpoint_path save_best_only resume_from_checkpoint output_data_dir save_model "
    "model_save_path do_save save_interval checkpoint_frequency",
    _BY_TIME: "logging_steps eval_steps evaluation_strategy eval_strategy logging_dir logging_strategy do_train "
    "do_eval do_predict report_to verbose disable_tqdm log_level eval_interval log_every print_freq logging_interval "
    "evaluation_steps",
    _HARDWARE: "n_gpu num_gpus use_gpu device no_cuda local_rank num_workers dataloader_num_workers deepspeed fsdp "
    "ddp distributed gpus num_nodes accelerator strategy ddp_backend cuda multi_gpu num_threads n_jobs",
    _SPLIT: "gradient_accumulation_steps accumulate_grad_batches grad_accumulation gradient_accumulation "
    "accumulation_steps",
    _SCHEDULE: "lr_scheduler_type lr_scheduler lr_schedule scheduler schedule learning_rate_schedule "
    "lr_scheduler_factor lr_decay_rate gamma lr_step lr_scheduler_step min_learning_rate",
    _SCORING: "per_device_eval_batch_size eval_batch_size per_gpu_eval_batch_size validation_batch_size "
    "valid_batch_size inference_batch_size predict_batch_size",
    _FILES: "tokenizer_name tokenizer config_name cache_dir hf_token use_auth_token token trust_remote_code "
    "model_revision revision push_to_hub pretrained pretrained_vectors hf_hub_token vectors use_fast_tokenizer "
    "tokenizer_path",
    _CASE: "do_lower_case lowercase lower_case do_lowercase use_lower_case uncased",
    _SUBWORDS: "min_count min_df word_ngrams wordngrams ngram_range subwords min_char max_char minn maxn buckets "
    "bucket min_freq sampling_threshold negative_samples max_df",
    "the channel decides between text and image classification, and model_id chooses the network: leave it out": "mode "
    "architecture arch algorithm",
    _TASK: "task task_name problem_type objective loss loss_function is_multilabel multilabel multi_label "
    "classification_type num_output",
    "provide fewer rows, and leave it out": "max_train_samples max_eval_samples max_samples limit subset sample_size "
    "max_rows num_training_samples num_train_samples",
    "rows are always shuffled, in an order that depends on seed: leave it out": "shuffle shuffle_seed "
    "shuffle_buffer_size shuffle_data",
    "LoRA is not supported; train_only_top_layer=True is a fast alternative": "peft_type use_lora lora_r lora_alpha "
    "lora_dropout lora use_peft enable_lora",
    "use a SageMaker tuning job, with the ranges of docs/hyperparameters.md": "presets "
    "hyperparameter_tune num_trials auto_stack num_bag_folds num_stack_levels",
    "images are scaled to the encoder's input size: leave it out": "image_size image_shape input_shape img_size "
    "image_height image_width resize height width num_channels",
}


def _meant() -> Iterator[tuple[str, str]]:
    for ours, names in _SAME.items():
        yield from ((name, f"did you mean {ours!r}?") for name in names.split())
    for words, names in _OTHER.items():
        yield from ((name, words) for name in names.split())


# The hint for a name, in lower case and with underscores.
HINTS: Mapping[str, str] = dict(_meant())
