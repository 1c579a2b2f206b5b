"""This project's classifier in PyTorch, for `transformers`: BERT, the mean of its tokens' vectors, one dense layer.

`AutoModelForSequenceClassification` has another top (BERT's pooler), and would answer otherwise.
"""

import torch
from transformers import BertModel, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class MeanPooledClassifier(BertPreTrainedModel):  # type: ignore[misc]  # its package has no types here
    """Token ids to logits."""

    def __init__(self, config: object) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = torch.nn.Linear(self.config.hidden_size, self.config.num_labels)
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Return the logits, float32[batch, labels], of token ids, int64[batch, length]."""
        hidden = self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return SequenceClassifierOutput(logits=self.classifier(pooled))
