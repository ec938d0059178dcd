include $(sort $(wildcard $(BR2_EXTERNAL_TANSHU_PATH)/package/*/*.mk))
